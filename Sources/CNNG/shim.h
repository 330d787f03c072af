// What TroupeBroker uses of nng 1.5: its byte streams over every transport, and TLS configurations.
#pragma once
#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

// The codes are an enumeration without a name, whose type Swift would have to be told at each use.
static const int troupe_nng_timed_out = NNG_ETIMEDOUT;
static const int troupe_nng_refused = NNG_ECONNREFUSED;
static const int troupe_nng_closed = NNG_ECLOSED;
static const int troupe_nng_shut = NNG_ECONNSHUT;
static const int troupe_nng_address_in_use = NNG_EADDRINUSE;
static const int troupe_nng_address_invalid = NNG_EADDRINVAL;
static const int troupe_nng_no_entry = NNG_ENOENT;
static const int troupe_nng_permission = NNG_EPERM;
static const int troupe_nng_crypto = NNG_ECRYPTO;
static const int troupe_nng_peer_auth = NNG_EPEERAUTH;
static const int troupe_nng_no_memory = NNG_ENOMEM;
