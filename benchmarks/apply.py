"""The first apply of a hundred services: what the engine costs, its preview and its plugins included."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import town
from benchmarks import world as worlds
from benchmarks.figure import Figure
from benchmarks.world import World

AT = (0,)
COUNT = 100


def measure(world: World) -> Iterator[Figure]:
    """In a world of its own, in which nothing is."""
    count = min(COUNT, world.most)
    with worlds.world() as empty:
        town.write(empty.repository, count)
        empty.servers.harden()
        run = empty.reconcile("apply", "--auto-approve", "--no-wait")
        asked, throttled = empty.servers.calls("reconciler"), empty.servers.throttled("reconciler")
    raw = {"count": count, "run": run.numbers, "calls": asked, "throttled": throttled}
    yield Figure(f"first apply of {count} services", round(run.cpu / count, 3), "CPU-s a service", aim=1.6, raw=raw)
    yield Figure(f"first apply of {count} services, on the clock", run.seconds, "s")
