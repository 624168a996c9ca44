"""Kafka by `apply`, with a password: records through members' names, none lost when a member goes, and a fourth member nobody notices."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lab import images
from tests.e2e.lab_world import Counted, counted
from tests.e2e.workshop import Repository, Workshop

pytestmark = pytest.mark.e2e
APPLY = ("apply", "--auto-approve", "--timeout", "4m")
ENVIRONMENT = "apiVersion: reconciler/v1\nkind: Environment\nmetadata: {name: lab}\nspec: {zones: [us-east-1a, us-east-1b, us-east-1c]}\n"
SERVICE = """\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: events}}
spec:
  type: kafka
  replicas: {replicas}
  volumes: {{data: {{size: 1Gi}}}}
  options: {{auth: true, heap: 128Mi, controllers: {controllers}}}
"""
PATH = "specs/lab/events.yaml"


@pytest.fixture(scope="module")
def kafka(workshop: Workshop) -> tuple[Counted, Repository]:
    """A service of three, applied."""
    row = images.find("apache/kafka:4.1.1")
    if (row is None or not shutil.which(row.needs)) and not os.environ.get("CI"):
        pytest.skip("Kafka's jars are not there: run `make setup` where Maven is")
    files = {"specs/lab/environment.yaml": ENVIRONMENT, PATH: SERVICE.format(replicas=3, controllers=3)}
    config = workshop.repository("config", files)
    workshop.reconcile(*APPLY, "--repo", config.clone)
    return counted(workshop), config


def names(*ordinals: int) -> list[str]:
    return [f"events-{n}.db.internal" for n in ordinals]


def question(workshop: Counted, *members: str, **asked: Any) -> dict[str, Any]:
    return {"events": {"type": "kafka", "members": members, "topic": "judged", "password": password(workshop), **asked}}


def password(workshop: Counted, secret: str = "events-auth") -> str:
    return base64.b64decode(workshop.kubectl("get", "secret", secret, "-o", "jsonpath={.data.password}")).decode()


def found(workshop: Counted) -> list[dict[str, Any]]:
    """The members' Pods."""
    told = workshop.kubectl("get", "pods", "-l", "reconciler/service=events,reconciler/set", "-o", "json")
    return list(json.loads(told)["items"])


def pods(workshop: Counted) -> dict[str, str]:
    """Who runs: name → uid."""
    return {one["metadata"]["name"]: one["metadata"]["uid"] for one in found(workshop)}


def test_no_acknowledged_record_is_lost_when_a_member_goes(kafka: tuple[Counted, Repository]) -> None:
    workshop, config = kafka
    first = workshop.ask(question(workshop, *names(1, 2), value="before", count=200))["events"]
    assert sorted(first["acknowledged"]) == sorted(first["read"])
    assert len(first["read"]) == 200
    assert first["brokers"] == [f"{name}:9092" for name in names(0, 1, 2)]
    assert first["replicas"] == [[0, 1, 2]] * 3

    before = pods(workshop)
    asked = question(workshop, *names(0), value="meanwhile", count=400, pause=0.05)
    client = workshop.start("lab", "exec", "--", sys.executable, "-m", "tests.e2e.inside", json.dumps(asked))
    workshop.kubectl("delete", "pod", "events-1", "--wait=true")
    workshop.reconcile(*APPLY, "--repo", config.clone)
    during = json.loads(client.communicate(timeout=120)[0])["events"]
    assert (len(during["acknowledged"]), during["unsent"]) == (400, 0)
    after = pods(workshop)
    assert {name for name in after if after[name] != before[name]} == {"events-1"}

    last = workshop.ask(question(workshop, *names(1), value="after", count=1))["events"]
    said = [*first["acknowledged"], *during["acknowledged"], *last["acknowledged"]]
    assert sorted(last["read"]) == sorted(said)
    assert last["brokers"] == first["brokers"]


def words(path: Path) -> bytes:
    """What a process was given; nothing of one that has ended."""
    with suppress(OSError):
        return path.read_bytes()
    return b""


def test_no_listener_answers_a_stranger_and_a_wrong_password_is_none(kafka: tuple[Counted, Repository]) -> None:
    """Each member takes the right one: `apply` waited for that. It lies in its Secret, and in no other object and no process's words."""
    workshop, _ = kafka
    ports = {name: [9091, 9092, 9093] for name in names(0, 1, 2)}
    found = workshop.ask({"events": {"type": "strangers", "ports": ports, "password": f"{password(workshop)}x"}})["events"]
    assert found == {"silent": [], "answered": [], "refused": names(0, 1, 2)}
    told = workshop.kubectl("get", "statefulsets,configmaps,jobs,pods,events", "-o", "json").encode()
    brokers = [path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if b"/run/service/server.properties" in words(path)]
    assert len(brokers) >= 3
    processes = [words(path / name) for path in brokers for name in ("cmdline", "environ")]
    for key in (password(workshop, "events-auth"), password(workshop, "events-internal")):
        assert not [one for one in (told, *processes) if key.encode() in one]
    (status,) = json.loads(workshop.reconcile("status", "--format", "json").stdout)
    assert {one["type"]: one["status"] for one in status["conditions"]}["AuthEnforced"] == "True"


def test_a_fourth_member_is_a_broker_that_touches_no_other(kafka: tuple[Counted, Repository]) -> None:
    workshop, config = kafka
    before = pods(workshop)
    config.commit("One more", {PATH: SERVICE.format(replicas=4, controllers=3)})
    workshop.reconcile(*APPLY, "--repo", config.clone)
    after = pods(workshop)
    assert {name: after[name] for name in before} == before
    assert sorted(after) == ["events-0", "events-1", "events-2", "events-3"]
    found = workshop.ask(question(workshop, *names(3), value="by the fourth", count=10))["events"]
    assert len(found["acknowledged"]) == 10
    assert found["brokers"] == [f"{name}:9092" for name in names(0, 1, 2, 3)]


def test_a_broker_that_leaves_has_no_partition_any_more_and_who_leads_the_quorum_restarts_last(kafka: tuple[Counted, Repository]) -> None:
    """F13, and F14 the way down: moved off by Kafka's own tools before it goes, then the others restart; a client writes all the time."""
    workshop, config = kafka
    first = workshop.ask(question(workshop, *names(0), topic="wide", partitions=6, value="before", count=200))["events"]
    assert any(3 in one for one in first["replicas"])
    config.commit("One less, and it keeps less", {PATH: SERVICE.format(replicas=3, controllers=3).replace("heap:", "retention: 6d, heap:")})
    assert "stops events-3, drained first" in workshop.reconcile("plan", "--repo", config.clone).stdout
    asked = question(workshop, *names(1), topic="wide", value="meanwhile", count=400, pause=0.05)
    client = workshop.start("lab", "exec", "--", sys.executable, "-m", "tests.e2e.inside", json.dumps(asked))
    told = workshop.reconcile(*APPLY, "--repo", config.clone).stderr
    assert "events: waiting until events-3 may go" in told
    during = json.loads(client.communicate(timeout=120)[0])["events"]
    assert (len(during["acknowledged"]), during["unsent"]) == (400, 0)
    last = workshop.ask(question(workshop, *names(2), topic="wide", value="after", count=1))["events"]
    assert last["replicas"] == [[0, 1, 2]] * 6
    assert sorted(last["read"]) == sorted([*first["acknowledged"], *during["acknowledged"], *last["acknowledged"]])
    made = {one["metadata"]["creationTimestamp"]: one["metadata"]["name"] for one in found(workshop)}
    assert len(made) == 3
    assert made[max(made)] == asked_leader(workshop)


def asked_leader(workshop: Counted) -> str:
    """Who led before the last restart, as the Job was told that asked."""
    pods = workshop.kubectl("get", "pods", "-l", "reconciler/service=events,reconciler/leader", "-o", "json")
    ends = [one["status"]["containerStatuses"][0]["state"]["terminated"]["message"] for one in json.loads(pods)["items"]]
    (leader,) = {json.loads(one)["leader"] for one in ends}
    return str(leader)


def test_another_number_of_controllers_is_refused_in_the_plan(kafka: tuple[Counted, Repository]) -> None:
    workshop, config = kafka
    config.commit("Fewer controllers", {PATH: SERVICE.format(replicas=3, controllers=1)})
    plan = workshop.reconcile("plan", "--repo", config.clone).stdout
    assert "fixed.reconciler/controllers 3 -> 1: a service keeps the controllers that it was begun with" in plan
    assert "1 refused" in plan
