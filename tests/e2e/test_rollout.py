"""Rolling restarts with real servers: who leads comes last, a kill costs nothing, and a bad revision costs one member."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.workshop import Repository, Workshop

pytestmark = pytest.mark.e2e
APPLY = ("apply", "--auto-approve", "--timeout", "4m")
FOLDER = "specs/lab"
ENVIRONMENT = (
    "apiVersion: reconciler/v1\nkind: Environment\nmetadata: {name: lab}\n"
    "spec: {zones: [us-east-1a, us-east-1b, us-east-1c], dns: {zone: roll.internal}}\n"
)
ZOOKEEPER = """\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: zk}}
spec:
  type: zookeeper
  replicas: 3
  volumes: {{data: {{size: 1Gi}}}}
  options: {{heap: 64Mi, tickTime: {tick}}}
"""
GENERIC = """\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: web}}
spec:
  type: generic
  replicas: 3
  podTemplate:
    spec:
      containers: [{{name: web, image: "python:3.11", command: [python, -c, "{program}"]}}]
"""
WORKS = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); signal.pause()"


@pytest.fixture(scope="module")
def config(workshop: Workshop) -> Repository:
    files = {"environment.yaml": ENVIRONMENT, "zk.yaml": ZOOKEEPER.format(tick=2000), "web.yaml": GENERIC.format(program=WORKS)}
    made = workshop.repository("config", {f"{FOLDER}/{name}": text for name, text in files.items()})
    workshop.reconcile(*APPLY, "--repo", made.clone)
    return made


def pods(workshop: Workshop, service: str) -> dict[str, dict[str, Any]]:
    told = workshop.kubectl("get", "pods", "-l", f"reconciler/set={service}", "-o", "json")
    return {one["metadata"]["name"]: one for one in json.loads(told)["items"]}


def wanted(workshop: Workshop, service: str) -> str:
    return workshop.kubectl("get", "statefulset", service, "-o", "jsonpath={.status.updateRevision}")


def current(workshop: Workshop, service: str) -> dict[str, str]:
    """The uids of those at the new revision that work, by member."""
    revision = wanted(workshop, service)
    there = {name: pod for name, pod in pods(workshop, service).items() if not pod["metadata"].get("deletionTimestamp")}
    new = {name: pod for name, pod in there.items() if pod["metadata"]["labels"]["controller-revision-hash"] == revision}
    return {name: pod["metadata"]["uid"] for name, pod in new.items() if ready(pod)}


def ready(pod: dict[str, Any]) -> str:
    """Since when it works; "" while it does not."""
    return next(
        (one["lastTransitionTime"] for one in pod["status"].get("conditions", ()) if (one["type"], one["status"]) == ("Ready", "True")), ""
    )


def leader(workshop: Workshop) -> str:
    script = 'exec 3<>"/dev/tcp/$0.roll.internal/2181" && printf srvr >&3 && cat <&3'
    told = {name: workshop.reconcile("lab", "exec", "--", "bash", "-c", script, name).stdout for name in ("zk-0", "zk-1", "zk-2")}
    (found,) = (name for name, words in told.items() if "Mode: leader" in words)
    return found


def test_who_leads_restarts_last_and_a_kill_in_between_costs_nothing(workshop: Workshop, config: Repository) -> None:
    leads, before = leader(workshop), {name: pod["metadata"]["uid"] for name, pod in pods(workshop, "zk").items()}
    config.commit("Tick otherwise", {f"{FOLDER}/zk.yaml": ZOOKEEPER.format(tick=1500)})
    command = [sys.executable, "-m", "reconciler", *APPLY, "--repo", str(config.clone)]
    running = subprocess.Popen(
        command,
        cwd=workshop.directory,
        env=workshop.environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 120
    while len(went := current(workshop, "zk")) != 1 or not set(went.values()).isdisjoint(before.values()):
        assert time.monotonic() < end
        time.sleep(0.2)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    workshop.reconcile(*APPLY, "--repo", config.clone)
    after = pods(workshop, "zk")
    assert current(workshop, "zk").keys() == after.keys() == before.keys()
    assert went.items() <= current(workshop, "zk").items()  # who was restarted before the kill is not restarted again
    order = sorted(after, key=lambda name: after[name]["metadata"]["creationTimestamp"])
    assert order[-1] == leads
    assert all(after[later]["metadata"]["creationTimestamp"] >= ready(after[first]) for first, later in pairwise(order))


def test_a_bad_revision_costs_one_member_and_a_mended_one_goes_on(workshop: Workshop, config: Repository) -> None:
    before = current(workshop, "web")
    assert len(before) == 3
    config.commit("Break it", {f"{FOLDER}/web.yaml": GENERIC.format(program="raise SystemExit(7)")})
    told = workshop.reconcile("apply", "--auto-approve", "--timeout", "25s", "--repo", config.clone, code=6)
    assert "web-2" in told.stdout + told.stderr
    after = pods(workshop, "web")
    assert {name: after[name]["metadata"]["uid"] for name in ("web-0", "web-1")} == {name: before[name] for name in ("web-0", "web-1")}
    assert all(ready(after[name]) for name in ("web-0", "web-1"))
    config.commit("Mend it", {f"{FOLDER}/web.yaml": GENERIC.format(program=f"{WORKS};")})
    workshop.reconcile(*APPLY, "--repo", config.clone)
    assert len(current(workshop, "web")) == 3
    assert workshop.reconcile("plan", "--repo", config.clone, "--detailed-exitcode").stdout.startswith("No changes.")
