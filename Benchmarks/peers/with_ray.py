"""The workloads with Ray: one process for each actor, on this machine only."""
import contextlib
import os

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
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    ray = common.need("ray")
    ray.init(
        address="local", num_cpus=4, num_gpus=0, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
        object_store_memory=500_000_000, _node_ip_address="127.0.0.1", _temp_dir=os.path.join(options.directory, "ray"))
    try:
        # Actors that ask for no processor are as many as one likes.
        yield ray, ray.remote(Echo).options(num_cpus=0)
    finally:
        ray.shutdown()


def main():
    options = common.arguments(__doc__, ["calls", "inflight", "spawn"])
    with running(options) as (ray, actor_class):
        if options.workload == "calls":
            actor = actor_class.remote()
            common.calls(
                options, lambda number: ray.get(actor.add.remote(number)), lambda data: ray.get(actor.echo.remote(data)))
        elif options.workload == "inflight":
            actor = actor_class.remote()
            common.in_flight(options, lambda number: actor.add.remote(number), ray.get)
        else:
            ray.get(actor_class.remote().add.remote(1))
            common.spawn(
                options, actor_class.remote, lambda actor, number: actor.add.remote(number), ray.get,
                sequential=5, batch=8)


if __name__ == "__main__":
    main()
