"""Clients write all the time through the names of members while their nodes die, hang or are cut off, volumes stick, and a zone goes.

Each service has one member, so that nobody takes over: the member itself has to come up again, with its data, under its name. Every write
that was acknowledged is there afterwards, and no process acknowledges one after its successor has.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from lab import namespace
from lab.agent import control
from lab.agent.nodes import Down
from tests.e2e import run
from tests.e2e.judge import Judge
from tests.e2e.lab_world import judge
from tests.e2e.workshop import Workshop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
ZONE = "db.internal"
SERVICES = {"killed": "us-east-1a", "stuck": "us-east-1b", "hung": "us-east-1c"}
ENVIRONMENT = """\
apiVersion: reconciler/v1
kind: Environment
metadata: {name: lab}
spec:
  zones: [us-east-1a, us-east-1b, us-east-1c]
  members: {unreachable: stop, unreachableAfter: 15s}
"""
SERVICE = """\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: {name}}}
spec:
  type: redis
  replicas: 1
  zones: [{zone}]
  volumes: {{data: {{size: 1Gi}}}}
  options: {{appendfsync: always}}
"""
WITHIN = 300.0
STUCK = 120.0  # seconds that a volume takes to detach


@dataclass(frozen=True)
class Write:
    """One that was acknowledged."""

    number: int
    asked: float
    acknowledged: float
    process: str


@dataclass
class Scene:
    """A served environment, and clients that write in it."""

    workshop: Workshop
    judge: Judge
    file: Path

    @property
    def lab(self) -> Path:
        return Path(self.workshop.running.dir)

    def writes(self, name: str) -> list[Write]:
        lines = [json.loads(line) for line in self.file.read_text().splitlines(keepends=True) if line.endswith("\n")]
        mine = (line for line in lines if line["name"] == f"{name}-0.{ZONE}")
        return [Write(one["number"], one["asked"], one["acknowledged"], one["process"]) for one in mine]

    def pod(self, name: str) -> tuple[str, str]:
        """The uid and the node of the member's Pod; "" where there is none that is to stay."""
        found = self.judge.objects("pods", f"reconciler/service={name}").get(f"{name}-0")
        if found is None or "deletionTimestamp" in found["metadata"]:
            return "", ""
        return found["metadata"]["uid"], found["spec"].get("nodeName", "")

    def until(self, holds: Callable[[], object]) -> None:
        end = time.monotonic() + WITHIN
        while not holds():
            assert time.monotonic() < end, self.workshop.kubectl("get", "pods,nodes", "-o", "wide")
            time.sleep(0.5)

    def writes_again(self, name: str, process: str) -> bool:
        """Whether another process than *process* acknowledges writes."""
        return any(one.process != process for one in self.writes(name)[-1:])

    def down(self, node: str, how: Down) -> None:
        control.node_down(self.lab, node, how, fate="stopped" if how == "dead" else "running")

    def back(self, node: str) -> None:
        """Whatever befell the node and its instance is over."""
        self.judge.ec2.start_instances(InstanceIds=[self.judge.instance(node)])
        control.node_up(self.lab, node)

    def neighbour(self, node: str) -> str:
        return f"{node[:-1]}{3 - int(node[-1])}"


@pytest.fixture(scope="module")
def scene(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Services that work, whose members somebody places, and clients of theirs."""
    files = {"environment.yaml": ENVIRONMENT} | {f"{name}.yaml": SERVICE.format(name=name, zone=zone) for name, zone in SERVICES.items()}
    config = workshop.repository("config", {f"specs/lab/{name}": text for name, text in files.items()})
    workshop.reconcile("apply", "--auto-approve", "--repo", config.bare, "--ref", "main")
    words = ("serve", "-e", "lab", "--repo", str(config.bare), "--ref", "main", "--interval", "1s", "--listen", "127.0.0.1:0")
    serving = run.start(words, workshop.directory, workshop.environment, f"writes-{os.getpid()}")
    serving.until(lambda: "serves lab at" in serving.said)
    file = tmp_path_factory.mktemp("writes") / "acknowledged.jsonl"
    command = [sys.executable, str(Path(__file__).with_name("writer.py")), str(file), *(f"{name}-0.{ZONE}" for name in SERVICES)]
    client = subprocess.Popen(namespace.entering(workshop.running.pid, command, directory="/"))
    try:
        made = Scene(workshop, judge(workshop), file)
        made.until(lambda: file.exists() and all(made.writes(name) for name in SERVICES))
        yield made
    finally:
        file.unlink(missing_ok=True)
        client.wait(30)
        serving.signal(signal.SIGTERM, group=False)
        serving.end()


def last(scene: Scene, name: str) -> Write:
    return scene.writes(name)[-1]


def silences(scene: Scene, name: str) -> list[float]:
    """The seconds between the last write that one process acknowledged and the first of the next one."""
    return [two.acknowledged - one.acknowledged for one, two in pairwise(scene.writes(name)) if one.process != two.process]


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
        assert max(silences(scene, "stuck")) > STUCK - 10, "nobody writes before the old node has let go"
        assert scene.pod("stuck")[1] == scene.neighbour(nodes["stuck"])
    finally:
        scene.workshop.kubectl("uncordon", nodes["stuck"])
        for name in ("killed", "hung"):
            scene.back(nodes[name])
    scene.until(lambda: all(_is_ready(scene, nodes[name]) for name in ("killed", "hung")))


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
        gaps = ", ".join(f"{gap:.0f} s" for gap in silences(scene, name))
        print(f"{name}: {len(told)} writes, by {len(processes)} processes; silent for {gaps}")  # noqa: T201 - measured


def _is_ready(scene: Scene, node: str) -> bool:
    conditions = scene.judge.objects("nodes")[node]["status"]["conditions"]
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)
