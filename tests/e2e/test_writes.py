"""Clients write all the time through the names of members while their nodes die, hang or are cut off, volumes stick, and a zone goes.

Each service has one member, so that nobody takes over: the member itself has to come up again, with its data, under its name. Every write
that was acknowledged is there afterwards, and no process acknowledges one after its successor has.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from lab.agent import control
from tests.e2e import writing
from tests.e2e.workshop import Workshop
from tests.e2e.writing import SERVICES, ZONE, Scene, Write

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
STUCK = 120.0  # seconds that a volume takes to detach


@pytest.fixture(scope="module")
def scene(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with writing.begun(workshop, tmp_path_factory.mktemp("writes")) as made:
        yield made


def last(scene: Scene, name: str) -> Write:
    return scene.writes(name)[-1]


def test_three_that_start_at_once_write_again(scene: Scene) -> None:
    before = {name: last(scene, name).process for name in SERVICES}
    scene.workshop.kubectl("delete", "pod", *(f"{name}-0" for name in SERVICES), "--wait=false")
    scene.until(lambda: all(scene.writes_again(name, process) for name, process in before.items()))


def test_a_killed_node_a_hung_one_and_a_stuck_volume_cost_no_write(scene: Scene) -> None:
    before = {name: (last(scene, name).process, *scene.pod(name)) for name in SERVICES}
    nodes = {name: node for name, (_, _, node) in before.items()}
    (volume,) = scene.judge.volumes()["volume/lab/stuck/stuck-0/data"]
    control.slow_release(scene.lab, volume["VolumeId"], STUCK)
    scene.workshop.kubectl("cordon", nodes["stuck"])
    scene.workshop.kubectl("delete", "pod", "stuck-0", "--wait=false")
    scene.down(nodes["killed"], "dead")
    scene.down(nodes["hung"], "hung")
    try:
        for name in ("killed", "hung"):
            scene.until(lambda name=name: scene.writes_again(name, before[name][0]))
            assert scene.pod(name)[1] == scene.neighbour(nodes[name])
        scene.until(lambda: scene.writes_again("stuck", before["stuck"][0]))
        assert max(scene.silences("stuck")) > STUCK - 10, "nobody writes before the old node has let go"
        assert scene.pod("stuck")[1] == scene.neighbour(nodes["stuck"])
    finally:
        scene.workshop.kubectl("uncordon", nodes["stuck"])
        for name in ("killed", "hung"):
            scene.back(nodes[name])
    scene.until(lambda: all(scene.is_ready(nodes[name]) for name in ("killed", "hung")))


def test_a_node_that_is_cut_off_and_a_zone_that_goes_and_returns_cost_no_write(scene: Scene) -> None:
    before = {name: (last(scene, name).process, *scene.pod(name)) for name in ("killed", "hung")}
    cut, mine = before["hung"][2], before["killed"][2]
    zone = (mine, scene.neighbour(mine))
    scene.down(cut, "partitioned")
    for node in zone:
        scene.down(node, "dead")
    try:
        scene.until(lambda: scene.writes_again("hung", before["hung"][0]))
        assert scene.pod("hung")[1] == scene.neighbour(cut)
        assert last(scene, "killed").process == before["killed"][0], "its zone has no node"
    finally:
        for node in (cut, *zone):
            scene.back(node)
    scene.until(lambda: scene.writes_again("killed", before["killed"][0]))
    assert scene.pod("killed")[1] in zone


def test_every_acknowledged_write_is_there_and_none_was_by_two(scene: Scene) -> None:
    for name in SERVICES:
        told = scene.writes(name)
        members = scene.workshop.reconcile("lab", "exec", "--", "redis-cli", "-h", f"{name}-0.{ZONE}", "SMEMBERS", "acknowledged").stdout
        assert {one.number for one in told} <= {int(line) for line in members.split()}
        processes = list(dict.fromkeys(one.process for one in told))
        assert [two.process for one, two in pairwise(told) if one.process != two.process] == processes[1:], "one that was over wrote again"
        gaps = ", ".join(f"{gap:.0f} s" for gap in scene.silences(name))
        print(f"{name}: {len(told)} writes, by {len(processes)} processes; silent for {gaps}")  # noqa: T201 - measured
