"""Objects between two of ProxyStore's endpoints, on the paths of scripts/bench-link: put at one, and got through the other.

    with_proxystore.py endpoint a|b DIRECTORY RELAY     runs the endpoint of that side
    with_proxystore.py put DIRECTORY MEGABYTES          on a: hands its endpoint the objects
    with_proxystore.py get DIRECTORY                    on b: gets them through its own; prints what Tests/PeerNode prints of the
                                                        tasks first-byte, bulk and latency
"""
import os
import sys
import threading
import time
import uuid

from proxystore.endpoint import client, commands, config

PORT = 9300
ADDRESS = f"http://127.0.0.1:{PORT}"
# Random ones would have to be told to the other side. They must be of version 4.
UUIDS = {side: str(uuid.UUID(int=number, version=4)) for number, side in enumerate("ab", start=1)}
# As many as PeerNode does.
ROUND_TRIPS = 100
START_SECONDS = 30


def run_endpoint(side, directory, relay):
    # Without servers for ICE: the path has no NAT, and the lab no Internet.
    settings = config.EndpointConfig(
        name=side, uuid=UUIDS[side], host="127.0.0.1", host_type="static", port=PORT,
        relay=config.EndpointRelayConfig(address=relay, ice_servers=[]),
        storage=config.EndpointStorageConfig(max_object_size=10_000_000_000))
    config.write_config(settings, os.path.join(directory, side))
    sys.exit(commands.start_endpoint(side, proxystore_dir=directory, log_level="WARNING"))


def when_it_answers(ask):
    """An endpoint listens a second or two after its start."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            return ask()
        except client.RequestException:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def put(directory, megabytes):
    when_it_answers(lambda: client.put(ADDRESS, "small", bytes(8)))
    client.put(ADDRESS, "large", os.urandom(int(megabytes) * 1_000_000))


def get(key, session):
    data = client.get(ADDRESS, key, UUIDS["a"], session)
    if data is None:
        raise RuntimeError(f"{key} is not there")
    return data


def bulk(session):
    begin = time.perf_counter()
    size = len(get("large", session))
    return int(size * 8 / 1e6 / (time.perf_counter() - begin))


def round_trips(session):
    taken = []
    for _ in range(ROUND_TRIPS):
        begin = time.perf_counter()
        get("small", session)
        taken.append((time.perf_counter() - begin) * 1000)
    taken.sort()
    return f"p50 {taken[len(taken) // 2]:.1f} p99 {taken[len(taken) * 99 // 100]:.1f} max {taken[-1]:.1f}"


def measure(directory):
    session, other = client.requests.Session(), client.requests.Session()
    when_it_answers(lambda: client.exists(ADDRESS, "nothing"))
    begin = time.perf_counter()
    get("small", session)
    print(f"first-byte {(time.perf_counter() - begin) * 1000:.1f}", flush=True)
    print(f"bulk {bulk(session)} Mbit/s", flush=True)
    alone = round_trips(session)
    rates = []
    thread = threading.Thread(target=lambda: rates.append(bulk(other)))
    thread.start()
    beside = round_trips(session)
    thread.join()
    print(f"latency alone {alone} beside {beside} bulk {rates[0]} Mbit/s", flush=True)


if __name__ == "__main__":
    {"endpoint": run_endpoint, "put": put, "get": measure}[sys.argv[1]](*sys.argv[2:])
