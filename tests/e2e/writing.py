"""A served environment whose services clients write to all the time through their members' names.

Each service has one member, so that nobody takes over: the member itself has to come up again, with its data, under its name.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from lab import namespace
from lab.agent import control
from lab.agent.nodes import Down
from tests.e2e import run
from tests.e2e.judge import Judge
from tests.e2e.lab_world import judge
from tests.e2e.workshop import Workshop

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

    def is_ready(self, node: str) -> bool:
        conditions = self.judge.objects("nodes")[node]["status"]["conditions"]
        return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)

    def silences(self, name: str) -> list[float]:
        """The seconds between the last write that one process acknowledged and the first of the next one."""
        return [two.acknowledged - one.acknowledged for one, two in pairwise(self.writes(name)) if one.process != two.process]


@contextmanager
def begun(workshop: Workshop, directory: Path) -> Iterator[Scene]:
    """Services that work, whose members somebody places, and clients of theirs, who note in *directory* what was acknowledged."""
    files = {"environment.yaml": ENVIRONMENT} | {f"{name}.yaml": SERVICE.format(name=name, zone=zone) for name, zone in SERVICES.items()}
    config = workshop.repository("config", {f"specs/lab/{name}": text for name, text in files.items()})
    workshop.reconcile("apply", "--auto-approve", "--repo", config.bare, "--ref", "main")
    words = ("serve", "-e", "lab", "--repo", str(config.bare), "--ref", "main", "--interval", "1s", "--listen", "127.0.0.1:0")
    serving = run.start(words, workshop.directory, workshop.environment, f"writes-{os.getpid()}")
    serving.until(lambda: "serves lab at" in serving.said)
    file = directory / "acknowledged.jsonl"
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
