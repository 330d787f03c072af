"""What the peers' workloads share: their arguments, how they measure, and what they print.

A workload prints a line for each thing that it measured, and scripts/bench reads them:

    sample LABEL NANOSECONDS      one latency of many
    rate LABEL PER_SECOND
    each LABEL MICROSECONDS       a mean, where one by one cannot be measured

Counts are bounded, and so is the time of each loop. A package that is not installed ends the program with status 3.
"""
import argparse
import collections
import dataclasses
import importlib
import os
import subprocess
import sys
import time
import uuid

import guard

MISSING = 3
LOOP_SECONDS = 15

# Labels, bytes each way (0: a small number), and repetitions.
SIZES = [
    ("call.sequential", 0, 2000),
    ("echo.1KB", 1_000, 1000),
    ("echo.1MB", 1_000_000, 60),
    ("echo.10MB", 10_000_000, 15),
]
IN_FLIGHT = 100


@dataclasses.dataclass(frozen=True)
class Options:
    workload: str
    redis_port: int
    directory: str
    scale: float

    def count(self, full, least=5):
        """How often something is done that a full run does so often."""
        return max(least, int(full * self.scale))


def arguments(description, workloads):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("workload", choices=workloads)
    parser.add_argument("--redis-port", type=int, required=True, help="of a Redis on 127.0.0.1")
    parser.add_argument("--directory", required=True, help="where temporary files may be")
    parser.add_argument("--scale", type=float, default=1, help="what repetitions are multiplied by")
    options = Options(**vars(parser.parse_args()))
    start_guard()
    return options


def need(module):
    """Imports a peer, or says that it is not there."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        print(f"peers: {module} is not installed ({error}); scripts/peers install brings it", file=sys.stderr)
        sys.exit(MISSING)


def start_guard():
    """Starts the process that ends all others that this one is going to start, when this one has ended."""
    os.setpgid(0, 0)
    token = uuid.uuid4().hex
    # Only this process holds the second end of the pipe, and nothing closes it before the process is gone.
    end, _ = os.pipe()
    subprocess.Popen(
        [sys.executable, guard.__file__, str(os.getpid()), token], stdin=end, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True)
    os.close(end)
    os.environ[guard.VARIABLE] = token


def sample(label, seconds):
    print("sample", label, int(seconds * 1e9))


def rate(label, per_second):
    print("rate", label, per_second)


def each(label, microseconds):
    print("each", label, microseconds)


class Timer:
    """Says how often something is repeated: so many times, and not once the time is over."""

    def __init__(self, count):
        self.count = count
        self.begun = 0
        self.end = time.perf_counter() + LOOP_SECONDS

    def goes_on(self):
        if self.begun == self.count or time.perf_counter() >= self.end:
            return False
        self.begun += 1
        return True


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
