"""A plan with nothing to do, of ever more services: time, memory, and how often AWS and the API server are asked."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import process, town
from benchmarks.figure import Figure
from benchmarks.world import World

AIMS = {1: 0.9, 30: 1.1, 100: 1.6, 250: 3.0, 1000: 10.0}
AT = tuple(AIMS)
MOST_CALLS = 120
_RUNS = 3

Counted = dict[str, int]


def measure(world: World) -> Iterator[Figure]:
    runs, calls = [], Counted()
    for _ in range(_RUNS):
        world.servers.forget_calls()
        runs.append(world.plan())
        calls = world.servers.calls("reconciler")
    throttled = world.servers.throttled("reconciler")
    best, total, services = process.best(runs), sum(calls.values()), f"{world.count:,} service{'s' if world.count > 1 else ''}"
    again = [world.plan(cold=False) for _ in range(2)]
    raw = {"count": world.count, "resources": town.RESOURCES * world.count, "runs": [run.numbers for run in runs]}
    yield Figure(f"no-op plan of {services}", best.seconds, "s", aim=AIMS.get(world.count), raw=raw)
    asked = {"count": world.count, "calls": calls, "throttled": throttled}
    yield Figure(f"calls of a no-op plan of {services}", total, "calls", aim=MOST_CALLS, requirement=True, raw=asked)
    cpu = min(run.cpu for run in runs)
    yield Figure(f"CPU of a no-op plan of {services}", cpu, "CPU-s", raw={"count": world.count})
    kept = {"count": world.count, "runs": [run.numbers for run in again]}
    yield Figure(f"the same with documents parsed before ({services}), CPU", min(run.cpu for run in again), "CPU-s", raw=kept)
    yield Figure(f"memory of a no-op plan of {services}", best.peak_mib, "MiB", raw={"count": world.count})
