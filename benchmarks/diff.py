"""What diff and plan cost beside reading: the CPU of everything between the answers and the plan, an object."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from benchmarks import process
from benchmarks.figure import Figure
from benchmarks.world import World

AT = (1000,)


def measure(world: World) -> Iterator[Figure]:
    run = process.run((sys.executable, "-m", "benchmarks.diff_program"), world.environment(), world.folder)
    told = json.loads(run.output.splitlines()[-1])
    each = 1000 * min(told["cpu_seconds"]) / told["objects"]
    yield Figure("CPU of diff and plan, an object", round(each, 3), "ms", aim=0.5, raw=told)
