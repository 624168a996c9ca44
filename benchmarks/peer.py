"""The same resources beside `pulumi preview --refresh`: in one stack, and in one stack a service; ratios within one run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks import process
from benchmarks.figure import Figure
from benchmarks.world import World

AT = (100,)
AIM = 30.0
_WORDS = {"one": "in one stack", "each": "in one stack a service"}


def measure(world: World) -> Iterator[Figure]:
    world.servers.ease()
    _program(world, "import", "all")
    world.servers.harden()
    for form, words in _WORDS.items():
        ours = [world.plan() for _ in range(3)]
        world.servers.forget_calls()
        theirs = _previewed(_program(world, "preview", form).output)
        raw = {
            "ours": [run.numbers for run in ours],
            "peer": theirs,
            "peer_calls": world.servers.calls("peer"),
            "peer_throttled": world.servers.throttled("peer"),
        }
        ratio = theirs["seconds"] / process.best(ours).seconds
        yield Figure(f"`pulumi preview --refresh` of {world.count} services {words}", theirs["seconds"], "s")
        yield Figure(f"faster than it, {words}", round(ratio, 1), "times", aim=AIM, better="more", raw=raw)
        work = theirs["cpu"] / min(run.cpu for run in ours)
        yield Figure(f"less CPU than it, {words}", round(work, 1), "times", raw=None)


def _program(world: World, work: str, form: str) -> process.Run:
    command = (sys.executable, "-m", "benchmarks.peer_program", work, form)
    return process.run(command, world.environment("peer"), world.folder)


def _previewed(output: str) -> dict[str, Any]:
    """What the peer said of its work; UnexpectedError where it found something to do: it would not be the same work."""
    told: dict[str, Any] = json.loads(output.splitlines()[-1])
    if set(told["operations"]) - {"same"}:
        raise process.UnexpectedError(f"the peer's preview is not empty: {told}")
    return told
