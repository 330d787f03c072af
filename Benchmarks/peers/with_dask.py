"""The workloads with Dask: a scheduler and a worker process that holds the actors; calls go from the client to the worker."""
import contextlib
import os
import subprocess
import sys
import time

import common


class Echo:
    def __init__(self):
        self.count = 0

    def add(self, number):
        self.count += number
        return self.count

    def echo(self, data):
        self.count += 1
        return data


@contextlib.contextmanager
def running(options):
    distributed = common.need("distributed")
    found = os.path.join(options.directory, "dask-scheduler.json")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = [sys.executable, "-m", "dask"]
    processes = [
        subprocess.Popen(
            dask + ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", found],
            **quiet)]
    try:
        until = time.monotonic() + 30
        while not os.path.exists(found):
            if time.monotonic() > until or processes[0].poll() is not None:
                raise RuntimeError("the Dask scheduler did not start")
            time.sleep(0.05)
        processes.append(
            subprocess.Popen(
                dask + [
                    "worker", "--scheduler-file", found, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny",
                    "--no-dashboard", "--local-directory", os.path.join(options.directory, "dask")],
                **quiet))
        with distributed.Client(scheduler_file=found, direct_to_workers=True) as client:
            client.wait_for_workers(1, timeout=30)
            yield client
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def main():
    options = common.arguments(__doc__, ["calls", "inflight", "spawn"])
    with running(options) as client:

        def launch():
            return client.submit(Echo, actor=True, pure=False)

        if options.workload == "calls":
            actor = launch().result()
            common.calls(options, lambda number: actor.add(number).result(), lambda data: actor.echo(data).result())
        elif options.workload == "inflight":
            actor = launch().result()
            common.in_flight(options, lambda number: actor.add(number), lambda call: call.result())
        else:
            launch().result().add(1).result()
            common.spawn(
                options, launch, lambda future, number: future.result().add(number), lambda call: call.result(),
                sequential=50, batch=100)


if __name__ == "__main__":
    main()
