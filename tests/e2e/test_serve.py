"""A branch that is served: a commit is picked up and carried out, members are placed with no apply running, and the end is orderly."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e import run
from tests.e2e.judge import Judge
from tests.e2e.lab_world import judge
from tests.e2e.run import Run
from tests.e2e.workshop import Repository, Workshop

pytestmark = pytest.mark.e2e
WITHIN = 120.0
ENVIRONMENT = """\
apiVersion: reconciler/v1
kind: Environment
metadata: {name: lab}
spec:
  zones: [us-east-1a, us-east-1b, us-east-1c]
"""
SERVICE = """\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: kv}}
spec:
  type: redis
  version: "8.0"
  replicas: {replicas}
  volumes: {{data: {{size: 1Gi}}}}
"""
FOLDER = "specs/lab"


@pytest.fixture(scope="module")
def config(workshop: Workshop) -> Repository:
    return workshop.repository("config", {f"{FOLDER}/environment.yaml": ENVIRONMENT, f"{FOLDER}/kv.yaml": SERVICE.format(replicas=1)})


@pytest.fixture(scope="module")
def looking(workshop: Workshop, config: Repository) -> Judge:
    return judge(workshop)


@pytest.fixture(scope="module")
def served(workshop: Workshop, config: Repository) -> Iterator[Run]:
    words = ("serve", "-e", "lab", "--repo", str(config.bare), "--interval", "1s", "--listen", "127.0.0.1:0")
    running = run.start(words, workshop.directory, workshop.environment, f"serve-{os.getpid()}")
    yield running
    if not running.over:
        running.signal(signal.SIGTERM, group=False)
        running.end()


def address(served: Run) -> str:
    served.until(lambda: "listens at" in served.said)
    found = re.search(r"listens at (\S+)", served.said)
    assert found
    return f"http://{found[1]}"


def ready(served: Run) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"{address(served)}/readyz", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def until(holds: Callable[[], object], served: Run) -> None:
    deadline = time.monotonic() + WITHIN
    while not holds():
        assert time.monotonic() < deadline, served.said
        assert not served.over, served.said
        time.sleep(0.2)


def records(looking: Judge) -> dict[str, tuple[str, ...]]:
    """The addresses that each member's name has in Route53."""
    return {name.partition(".")[0]: tuple(one["ResourceRecords"][0].values()) for name, one in looking.records().items()}


def pods(looking: Judge) -> dict[str, dict[str, Any]]:
    return looking.objects("pods", "reconciler/service=kv")


def test_a_commit_is_carried_out_and_its_members_get_ready(served: Run, workshop: Workshop, looking: Judge) -> None:
    until(lambda: pods(looking).get("kv-0", {}).get("status", {}).get("podIP"), served)
    until(lambda: ready(served)[0] == 200, served)
    told = ready(served)[1]
    assert {name: role["state"] for name, role in told["roles"].items()} == dict.fromkeys(
        ("branch", "reconcile", "members", "components", "api"), "held"
    )
    leases = json.loads(workshop.kubectl("get", "leases", "-n", "default", "-o", "json"))["items"]
    held = {one["metadata"]["name"] for one in leases if one["spec"].get("holderIdentity")}
    assert {"reconcile", "members", "batcher", "operator", "api"} <= held
