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


def measure(world: World) -> Iterator[Figure]:
    runs, calls = [], {}
    for _ in range(_RUNS):
        world.servers.forget_calls()
        runs.append(world.plan())
        calls = world.servers.calls("reconciler")
    throttled = world.servers.throttled("reconciler")
    best, total, services = process.best(runs), sum(calls.values()), f"{world.count:,} service{'s' if world.count > 1 else ''}"
    raw = {"count": world.count, "resources": town.RESOURCES * world.count, "runs": [run.numbers for run in runs]}
    yield Figure(f"no-op plan of {services}", best.seconds, "s", aim=AIMS[world.count], raw=raw)
    asked = {"count": world.count, "calls": calls, "throttled": throttled}
    yield Figure(f"calls of a no-op plan of {services}", total, "calls", aim=MOST_CALLS, requirement=True, raw=asked)
    yield Figure(f"memory of a no-op plan of {services}", best.peak_mib, "MiB", raw={"count": world.count})
