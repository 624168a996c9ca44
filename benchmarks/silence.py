"""How long clients that write through a member's name are silent when its node dies: the 95th of a hundred.

In a lab of its own, whose Redis servers are real: in each round the nodes of three members die at once, each in its zone, and their
instances with them. A silence begins with the last write that was acknowledged and ends with the next one; it has in it the seconds
until Kubernetes says that a node does not answer, and those in which the new node attaches the volume.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.world import World
from lab import lifecycle
from tests.e2e import writing
from tests.e2e.workshop import Workshop
from tests.e2e.writing import SERVICES, Scene

AT = (0,)
ROUNDS = 7
AIM = 30.0
_SHARE = 0.95


def measure(_: World) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        running, _created = lifecycle.up(folder / ".reconcile" / "lab")
        try:
            with writing.begun(Workshop(folder, running), folder) as scene:
                for _ in range(ROUNDS):
                    _die(scene)
                found = sorted(gap for name in SERVICES for gap in scene.silences(name))
        finally:
            lifecycle.down(folder / ".reconcile" / "lab")
    raw = {"silences": [round(one, 1) for one in found]}
    late = found[min(len(found) - 1, int(_SHARE * len(found)))]
    yield Figure(f"{len(found)} silences of a member whose node dies, p95", round(late, 1), "s", aim=AIM, raw=raw)
    yield Figure(f"{len(found)} silences of a member whose node dies, median", round(found[len(found) // 2], 1), "s", raw=raw)


def _die(scene: Scene) -> None:
    """The nodes of all three members die; once these write again elsewhere, the nodes come back."""
    before = {name: (scene.writes(name)[-1].process, scene.pod(name)[1]) for name in SERVICES}
    for _, node in before.values():
        scene.down(node, "dead")
    for name, (process, _) in before.items():
        scene.until(lambda name=name, process=process: scene.writes_again(name, process))
    for _, node in before.values():
        scene.back(node)
    scene.until(lambda: all(scene.is_ready(node) for _, node in before.values()))
