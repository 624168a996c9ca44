"""How long `reconcile --help` takes: nobody should have to wait for words that are known."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import process
from benchmarks.figure import Figure
from benchmarks.world import World

AT = (0,)


def measure(world: World) -> Iterator[Figure]:
    runs = [world.reconcile("--help") for _ in range(5)]
    yield Figure("`reconcile --help`", process.best(runs).seconds, "s", aim=0.2, raw=[run.numbers for run in runs])
