"""What the peers' workloads share: their arguments, how they measure, and what they print.

A workload prints a line for each thing that it measured, and scripts/bench reads them:

    sample LABEL NANOSECONDS      one latency of many
    rate LABEL PER_SECOND
    each LABEL MICROSECONDS       a mean, where one by one cannot be measured

Counts are bounded, and so is the time of each loop. A package that is not installed ends the program with status 3.
"""
import argparse
import collections
import ctypes
import importlib
import os
import signal
import sys
import time

MISSING = 3
LOOP_SECONDS = 15
PR_SET_PDEATHSIG = 1

# Labels, bytes each way (0: a small number), and repetitions.
SIZES = [
    ("call.sequential", 0, 2000),
    ("echo.1KB", 1_000, 1000),
    ("echo.1MB", 1_000_000, 60),
    ("echo.10MB", 10_000_000, 15),
]
IN_FLIGHT = 100


def arguments(description, workloads):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("workload", choices=workloads)
    parser.add_argument("--redis-port", type=int, required=True, help="of a Redis on 127.0.0.1")
    parser.add_argument("--directory", required=True, help="where temporary files may be")
    parser.add_argument("--scale", type=float, default=1, help="what repetitions are multiplied by")
    parsed = parser.parse_args()
    parsed.count = lambda full, least=5: max(least, int(full * parsed.scale))
    return parsed


def need(module):
    """Imports a peer, or says that it is not there."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        print(f"peers: {module} is not installed ({error}); scripts/peers install brings it", file=sys.stderr)
        sys.exit(MISSING)


def end_with_parent():
    """Lets this process end when the one that started it does, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def sample(label, seconds):
    print("sample", label, int(seconds * 1e9), flush=False)


def rate(label, per_second):
    print("rate", label, per_second)


def each(label, microseconds):
    print("each", label, microseconds)


class Timer:
    """Says how often something is repeated: so many times, and not once the time is over."""

    def __init__(self, count):
        self.left = count
        self.end = time.perf_counter() + LOOP_SECONDS

    def goes_on(self):
        self.left -= 1
        return self.left >= 0 and time.perf_counter() < self.end


def payload(size):
    return os.urandom(size)


def calls(options, add, echo):
    """One call at a time, for peers whose callers are threads."""
    for label, size, repetitions in SIZES:
        data = payload(size)
        call = (lambda: echo(data)) if size else (lambda: add(1))
        for _ in range(options.count(repetitions) // 10 + 1):
            call()
        timer = Timer(options.count(repetitions))
        while timer.goes_on():
            begin = time.perf_counter()
            answer = call()
            sample(label, time.perf_counter() - begin)
            if size and len(answer) != size:
                raise ValueError(f"the echo of {size} bytes has {len(answer)}")


def in_flight(options, send, receive):
    """A window of calls under way: one more for each that has answered, the oldest first."""
    for last_round in (False, True):
        count = options.count(5000, 200) if last_round else IN_FLIGHT
        timer = Timer(count)
        begin = time.perf_counter()
        under_way = collections.deque()
        done = 0
        while timer.goes_on():
            if len(under_way) == IN_FLIGHT:
                receive(under_way.popleft())
                done += 1
            under_way.append(send(1))
        for call in under_way:
            receive(call)
            done += 1
        if last_round:
            rate("call.inflight100", done / (time.perf_counter() - begin))


def spawn(options, launch, send, receive, sequential, batch):
    """From the making of an actor to its first answer: one by one, and many at once. They live until the end."""
    kept = []
    timer = Timer(options.count(sequential, 3))
    while timer.goes_on():
        begin = time.perf_counter()
        actor = launch()
        receive(send(actor, 1))
        sample("spawn.sequential", time.perf_counter() - begin)
        kept.append(actor)
    count = options.count(batch, 3)
    begin = time.perf_counter()
    kept += [launch() for _ in range(count)]
    for call in [send(actor, 1) for actor in kept[-count:]]:
        receive(call)
    each("spawn.batch", (time.perf_counter() - begin) * 1e6 / count)
