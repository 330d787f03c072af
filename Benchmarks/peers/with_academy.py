"""The workloads with Academy: agents in processes of a pool, mailboxes in the Redis that it is given."""
import asyncio
import contextlib
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import common

common.need("academy")
from academy.agent import Agent, action  # noqa: E402
from academy.exchange.redis import RedisExchangeFactory  # noqa: E402
from academy.manager import Manager  # noqa: E402
from academy.message import ActionRequest, Message  # noqa: E402
from academy.runtime import Runtime  # noqa: E402

MAILBOXES = [("100B", 100, 5000), ("10KB", 10_000, 2000)]
SENDERS = common.IN_FLIGHT
DRAIN_SECONDS = 60


class Echo(Agent):
    def __init__(self):
        super().__init__()
        self.count = 0

    @action
    async def add(self, number: int) -> int:
        self.count += number
        return self.count

    @action
    async def echo(self, data: bytes) -> bytes:
        self.count += 1
        return data


class Drain(Agent):
    """Notes when the first and the last of its messages were handled."""

    def __init__(self):
        super().__init__()
        self.count = 0
        self.first = self.last = 0.0

    @action
    async def take(self, data: bytes) -> None:
        self.last = time.perf_counter()
        if self.count == 0:
            self.first = self.last
        self.count += 1


def factory(options):
    # Each call that waits has a connection of its own; the client's usual bound is below a hundred calls under way.
    return RedisExchangeFactory("127.0.0.1", options.redis_port, max_connections=4096, socket_timeout=None)


def prepare(_):
    # Long enough for each process of the pool to get one of these.
    time.sleep(1)


@contextlib.asynccontextmanager
async def running(options, processes):
    """A manager with a pool of as many processes as there are going to be agents; they have started and imported Academy."""
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    list(pool.map(prepare, range(processes)))
    async with await Manager.from_exchange_factory(factory=factory(options), executors=pool) as manager:
        yield manager


async def calls(options):
    async with running(options, 1) as manager:
        agent = await manager.launch(Echo)
        for label, size, repetitions in common.SIZES:
            data = common.payload(size)
            count = options.count(repetitions)
            for _ in range(count // 10 + 1):
                await (agent.echo(data) if size else agent.add(1))
            timer = common.Timer(count)
            while timer.goes_on():
                begin = time.perf_counter()
                answer = await (agent.echo(data) if size else agent.add(1))
                common.sample(label, time.perf_counter() - begin)
                if size and len(answer) != size:
                    raise ValueError(f"the echo of {size} bytes has {len(answer)}")


async def in_flight(options):
    async with running(options, 1) as manager:
        agent = await manager.launch(Echo)
        done = 0

        async def lane(timer):
            nonlocal done
            while timer.goes_on():
                await agent.add(1)
                done += 1

        for count in (common.IN_FLIGHT, options.count(5000, 200)):
            done = 0
            timer = common.Timer(count)
            begin = time.perf_counter()
            await asyncio.gather(*(lane(timer) for _ in range(common.IN_FLIGHT)))
            rate = done / (time.perf_counter() - begin)
        common.rate("call.inflight100", rate)


async def spawn(options):
    sequential, batch = options.count(5, 3), options.count(8, 3)
    async with running(options, sequential + batch) as manager:
        for _ in range(sequential):
            begin = time.perf_counter()
            agent = await manager.launch(Echo)
            await agent.add(1)
            common.sample("spawn.sequential", time.perf_counter() - begin)
        begin = time.perf_counter()
        agents = [await manager.launch(Echo) for _ in range(batch)]
        await asyncio.gather(*(agent.add(1) for agent in agents))
        common.each("spawn.batch", (time.perf_counter() - begin) * 1e6 / batch)


def drain(options, registration, count, pipe):
    """Runs in a process of its own: an agent that finds its messages there."""

    async def handle_all():
        agent = Drain()
        async with Runtime(agent, exchange_factory=factory(options), registration=registration) as runtime:
            until = time.perf_counter() + DRAIN_SECONDS
            while agent.count < count and time.perf_counter() < until:
                await asyncio.sleep(0.02)
            pipe.send((agent.count, agent.last - agent.first))
            runtime.signal_shutdown(expected=True)

    asyncio.run(handle_all())


async def mailbox(options):
    for label, size, repetitions in MAILBOXES:
        count = options.count(repetitions)
        async with await factory(options).create_user_client(start_listener=False) as client:
            registration = await client.register_agent(Drain)
            data = common.payload(size)

            async def lane(timer):
                while timer.goes_on():
                    request = ActionRequest(action="take", pargs=(data,), kargs={}, serialization="pickle")
                    await client.send(Message.create(src=client.client_id, dest=registration.agent_id, body=request))

            timer = common.Timer(count)
            begin = time.perf_counter()
            await asyncio.gather(*(lane(timer) for _ in range(SENDERS)))
            put = timer.begun
            common.rate(f"mailbox.put.{label}", put / (time.perf_counter() - begin))
            ours, theirs = multiprocessing.Pipe()
            process = multiprocessing.get_context("spawn").Process(
                target=drain, args=(options, registration, put, theirs))
            process.start()
            theirs.close()
            try:
                handled, seconds = await asyncio.to_thread(ours.recv)
                if handled < put:
                    raise RuntimeError(f"{handled} of {put} messages were handled in {DRAIN_SECONDS} s")
                common.rate(f"mailbox.drain.{label}", (handled - 1) / seconds)
                process.join(10)
            finally:
                process.kill()


def main():
    workloads = {"calls": calls, "inflight": in_flight, "spawn": spawn, "mailbox": mailbox}
    options = common.arguments(__doc__, list(workloads))
    asyncio.run(workloads[options.workload](options))


if __name__ == "__main__":
    main()
