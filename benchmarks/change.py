"""One changed service among many: its plan and apply may cost what they cost where it is alone, and one observation of the others."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import process, town
from benchmarks import world as worlds
from benchmarks.figure import Figure
from benchmarks.process import Run
from benchmarks.world import World

AT = (1000,)
_NUMBER = 0
_ITS = 1.1  # the share by which two runs of one thing may differ


def measure(world: World) -> Iterator[Figure]:
    with worlds.world() as small:
        small.grow(1)
        alone = _changed(small)
    observation = process.best([world.plan() for _ in range(2)])
    among = _changed(world)
    parts = {"alone": alone, "observation": observation, "among": among}
    raw = {name: run.numbers for name, run in parts.items()}
    aim = round(_ITS * (alone.seconds + observation.seconds), 2)
    yield Figure(f"one changed service of {world.count:,}, plan and apply", among.seconds, "s", aim=aim, raw=raw)
    work = round(_ITS * (alone.cpu + observation.cpu), 2)
    yield Figure(f"one changed service of {world.count:,}, CPU", among.cpu, "CPU-s", aim=work)


def _changed(world: World) -> Run:
    """Change the speed of one volume, and apply that."""
    town.change(world.repository, _NUMBER, iops=4000)
    run = world.reconcile("apply", "--auto-approve")
    if "1 changed, 0 destroyed" not in run.output:
        raise process.UnexpectedError(f"not one change was applied:\n{run.output[-2000:]}")
    return run
