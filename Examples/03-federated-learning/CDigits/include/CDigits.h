#ifndef CDIGITS_H
#define CDIGITS_H

#include <stddef.h>

/// The bytes of digits.csv, compiled into the program so that a worker finds them wherever it is started; sets their
/// number.
const unsigned char *troupe_digits_csv(size_t *size);

#endif
