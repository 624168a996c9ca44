"""FireCamp's two workflows, step by step: a service is created (C1 to C8), and a member is scheduled onto another node (P1 to P5).

The service is a MongoDB replica set (its server is the lab's stand-in). Its members are judged by boto3, kubectl and an unchanged driver,
which writes from the moment of success on, through everything else. Beside it live members of one each.
In the end everything that places members is stopped.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from lab import namespace
from lab.aws.client import Switches
from reconciler.members.act import LEASE_PREFIX
from tests.e2e import run
from tests.e2e.judge import ADDRESS, Judge, tags
from tests.e2e.lab_world import judge
from tests.e2e.run import Run
from tests.e2e.workshop import Repository, Workshop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
FOLDER, ZONE = "specs/lab", "db.internal"
CLIENT = Path(__file__).parents[1] / "integration" / "mongo_client.py"
ENVIRONMENT = """\
apiVersion: reconciler/v1
kind: Environment
metadata: {name: lab}
spec: {zones: [us-east-1a, us-east-1b, us-east-1c]}
"""
SERVICE = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: docs}
spec:
  type: mongodb
  replicas: 3
  volumes: {data: {size: 1Gi}, journal: {size: 1Gi}}
  options: {cacheSize: 256Mi}
"""
ALONE = """\
apiVersion: reconciler/v1
kind: Service
metadata: {{name: {name}}}
spec:
  type: redis
  replicas: 1
  zones: [{zone}]
  addresses: {addresses}
  volumes: {{data: {{size: 1Gi}}}}
"""
MEMBERS = ("docs-0", "docs-1", "docs-2")
WITHIN = 180.0


@dataclass
class Story:
    """One lab in which things happen in order; *seen* is what the steps leave for each other."""

    workshop: Workshop
    config: Repository
    judge: Judge
    seen: dict[str, Any] = field(default_factory=dict)

    def pods(self) -> dict[str, dict[str, Any]]:
        found = self.judge.objects("pods", "reconciler/set")
        return {name: one for name, one in found.items() if "deletionTimestamp" not in one["metadata"]}

    def lease(self, member: str) -> dict[str, Any]:
        spec: dict[str, Any] = self.judge.objects("leases")[f"{LEASE_PREFIX}{member}"]["spec"]
        return spec

    def record(self, member: str) -> str:
        address: str = self.judge.records(ZONE)[f"{member}.{ZONE}"]["ResourceRecords"][0]["Value"]
        return address

    def volumes(self) -> dict[str, dict[str, Any]]:
        """By address; none is there twice."""
        found = self.judge.volumes()
        assert {len(ones) for ones in found.values()} == {1}
        return {address: one for address, (one,) in found.items()}

    def client(self, **question: Any) -> subprocess.Popen[str]:
        """A driver inside the lab, where it finds members by their names only."""
        hosts = [f"{name}.{ZONE}:27017" for name in MEMBERS]
        asked = {"set": "docs", "hosts": hosts, "password": self.judge.secret("docs-auth", "password"), **question}
        command = namespace.entering(self.workshop.running.pid, [sys.executable, str(CLIENT)], directory="/")
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert client.stdin
        client.stdin.write(json.dumps(asked))
        client.stdin.close()
        client.stdin = None
        return client

    def until(self, holds: Any) -> None:
        end = time.monotonic() + WITHIN
        while not holds():
            assert time.monotonic() < end, self.seen
            time.sleep(0.2)


def answer(client: subprocess.Popen[str]) -> dict[str, Any]:
    said, _ = client.communicate(timeout=WITHIN)
    assert client.returncode == 0
    found: dict[str, Any] = json.loads(said)
    return found


def when(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def born(one: dict[str, Any]) -> float:
    return when(one["metadata"]["creationTimestamp"])


def container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    status = pod["status"]
    everyone = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    found: dict[str, Any] = next(one for one in everyone if one["name"] == name)
    return found


def running_since(pod: dict[str, Any]) -> float:
    return max(when(one["state"]["running"]["startedAt"]) for one in pod["status"]["containerStatuses"])


@pytest.fixture(scope="module")
def story(workshop: Workshop) -> Iterator[Story]:
    alone = {"fixed": ("us-east-1a", "private"), "loose": ("us-east-1b", "none"), "calm": ("us-east-1c", "none")}
    texts = {f"{name}.yaml": ALONE.format(name=name, zone=zone, addresses=how) for name, (zone, how) in alone.items()}
    files = {"environment.yaml": ENVIRONMENT, **texts}
    told = Story(workshop, workshop.repository("config", {f"{FOLDER}/{name}": text for name, text in files.items()}), judge(workshop))
    yield told
    for one in told.seen.values():
        if isinstance(one, subprocess.Popen) and one.poll() is None:
            one.kill()
            one.communicate()


def test_c1_a_user_asks_for_a_service(story: Story) -> None:
    story.config.commit("A place for documents", {f"{FOLDER}/docs.yaml": SERVICE})
    at = ("--repo", str(story.config.clone))
    assert "Plan: " in story.workshop.reconcile("plan", *at).stdout
    words = ("apply", "--auto-approve", "--timeout", "4m", *at)
    asked = run.start(words, story.workshop.directory, story.workshop.environment, f"create-{os.getpid()}")
    story.seen["code"], story.seen["success"] = asked.end(), time.time()
    assert story.seen["code"] == 0, asked.said


def test_c2_the_volumes_are_made(story: Story) -> None:
    found = {address: one for address, one in story.volumes().items() if "/docs/" in address}
    assert found.keys() == {f"volume/lab/docs/{member}/{volume}" for member in MEMBERS for volume in ("data", "journal")}
    story.seen["volumes"] = max(one["CreateTime"].timestamp() for one in found.values())


def test_c3_each_member_is_assigned_a_name(story: Story) -> None:
    assert {f"{name}.{ZONE}" for name in MEMBERS} <= story.judge.records(ZONE).keys()
    for name in MEMBERS:
        assert story.judge.resolve(f"{name}.{ZONE}") == [story.pods()[name]["status"]["podIP"]]


def test_c4_what_is_known_of_the_service_is_stored(story: Story) -> None:
    """Who is which member is a Lease, what was generated a Secret, and both say whose they are."""
    for name in MEMBERS:
        assert story.lease(name)["holderIdentity"] == story.pods()[name]["metadata"]["uid"]
        assert story.lease(name)["leaseTransitions"] == 1
    secret = story.judge.objects("secrets", "reconciler/service=docs")["docs-auth"]
    assert secret["immutable"]
    story.seen["secret"] = born(secret)


def test_c5_the_orchestrator_is_given_the_service_once_its_volumes_are_there(story: Story) -> None:
    sets = story.judge.objects("statefulsets", "reconciler/service=docs")
    assert sum(one["spec"]["replicas"] for one in sets.values()) == 3
    first = min(born(one) for one in sets.values())
    assert first + 1 > story.seen["volumes"]  # Kubernetes tells whole seconds
    assert min(running_since(story.pods()[name]) for name in MEMBERS) + 1 > story.seen["secret"]


def test_c6_it_is_waited_for_until_every_container_runs(story: Story) -> None:
    pods = story.pods()
    story.seen["running"] = max(running_since(pods[name]) for name in MEMBERS)
    assert story.seen["running"] <= story.seen["success"]


def test_c7_the_set_is_initialised_then_and_closed_to_strangers(story: Story) -> None:
    jobs = list(story.judge.objects("jobs", "reconciler/service=docs,reconciler/initialise").values())
    assert min(born(one) for one in jobs) >= int(story.seen["running"]), "nobody is asked before all run"
    last = max(jobs, key=lambda one: int(one["metadata"]["labels"]["reconciler/turn"]))
    assert last["metadata"]["annotations"]["reconciler/does"] == "look"
    story.seen["initialised"] = when(last["status"]["completionTime"])
    said = answer(story.client(do="read"))["members"]
    assert sorted(one["state"] for one in said.values()) == ["PRIMARY", "SECONDARY", "SECONDARY"]
    assert all(one["refuses"] for one in said.values())
    story.seen["primary"] = next(host for host, one in said.items() if one["state"] == "PRIMARY").partition(".")[0]


def test_c8_only_then_the_user_hears_of_success(story: Story) -> None:
    assert story.seen["initialised"] <= story.seen["success"]
    (row,) = json.loads(story.workshop.reconcile("status", "--service", "docs", "--format", "json", "--repo", story.config.clone).stdout)
    assert (row["synced"], row["ready"]) == ("Synced", "Ready")
    story.seen["writer"] = story.client(do="write", first=0, seconds=30)


def attend(story: Story) -> Run:
    """Let somebody go on placing members now that the user's apply has ended; it serves the commit that was applied."""
    words = ("serve", "-e", "lab", "--repo", str(story.config.bare), "--ref", "main", "--interval", "1s", "--listen", "127.0.0.1:0")
    return run.start(words, story.workshop.directory, story.workshop.environment, f"attends-{os.getpid()}")


def end(running: Run) -> None:
    if not running.over:
        running.signal(signal.SIGTERM, group=False)
        running.end()


@pytest.fixture(scope="module")
def attended(story: Story) -> Iterator[Run]:
    story.config.push("main")
    running = attend(story)
    yield running
    end(running)


def test_p1_the_orchestrator_puts_a_container_on_another_node(story: Story, attended: Run) -> None:
    for member in (story.seen["primary"], "fixed-0"):
        old = story.pods()[member]
        uid, node = old["metadata"]["uid"], old["spec"]["nodeName"]
        story.seen[f"old {member}"], story.seen[f"node of {member}"] = story.record(member), node
        story.workshop.kubectl("cordon", node)
        story.workshop.kubectl("delete", "pod", member, "--wait=false")
        story.until(lambda member=member, uid=uid: (pod := story.pods().get(member)) and pod["metadata"]["uid"] != uid and is_ready(pod))
        assert story.pods()[member]["spec"]["nodeName"] != node
        story.workshop.kubectl("uncordon", node)


def is_ready(pod: dict[str, Any]) -> bool:
    return {one["type"]: one["status"] for one in pod["status"].get("conditions", ())}.get("Ready") == "True"


def test_p2_the_container_waits_before_anything_of_it_starts(story: Story) -> None:
    """What was a call of a plugin on the node is an init container that talks to nobody but the resolver."""
    pod = story.pods()[story.seen["primary"]]
    ended = container(pod, "member")["state"]["terminated"]
    assert ended["exitCode"] == 0
    story.seen["let in"] = when(ended["finishedAt"])
    assert min(when(one["state"]["running"]["startedAt"]) for one in pod["status"]["containerStatuses"]) >= story.seen["let in"]


def test_p3_which_member_it_is_is_claimed_by_compare_and_set(story: Story) -> None:
    for member in (story.seen["primary"], "fixed-0"):
        lease = story.lease(member)
        assert (lease["holderIdentity"], lease["leaseTransitions"]) == (story.pods()[member]["metadata"]["uid"], 2)


def test_p4_its_name_leads_to_the_new_node_or_its_address_has_moved_there(story: Story) -> None:
    member = story.seen["primary"]
    pod = story.pods()[member]
    assert story.judge.resolve(f"{member}.{ZONE}") == [story.record(member)] == [pod["status"]["podIP"]]
    assert story.record(member) != story.seen[f"old {member}"]
    assert story.record("fixed-0") == story.seen["old fixed-0"]
    (interface,) = story.judge.interfaces()["interface/lab/fixed/fixed-0"]
    assert interface["PrivateIpAddress"] == story.record("fixed-0")
    assert interface["Attachment"]["InstanceId"] == story.judge.instance(story.pods()["fixed-0"]["spec"]["nodeName"])


def test_p5_its_volumes_are_there_and_nowhere_else_and_no_write_is_lost(story: Story) -> None:
    member = story.seen["primary"]
    node = story.judge.instance(story.pods()[member]["spec"]["nodeName"])
    mine = [one for one in story.volumes().values() if tags(one)[ADDRESS].startswith(f"volume/lab/docs/{member}/")]
    assert [[attached["InstanceId"] for attached in one["Attachments"]] for one in mine] == [[node], [node]]
    written = answer(story.seen.pop("writer"))
    failed = [int(one.partition(":")[0]) for one in written["failed"]]  # a driver tries a write twice, and tells its caller then
    assert max(written["acknowledged"]) > max(failed, default=-1)
    print(f"the longest time between two acknowledged writes: {written['longest']:.1f} s")  # noqa: T201 - measured
    after = answer(story.client(do="read"))["members"]
    assert all(set(written["acknowledged"]) <= set(one["numbers"]) for one in after.values())


def test_one_query_by_the_members_name_finds_what_it_said_wherever_it_ran(story: Story) -> None:
    """As a collector has it: the files of all nodes, each named by namespace, Pod and uid, and a Pod is called as its member."""
    member = story.seen["primary"]
    found = Path(story.workshop.running.dir, "logs", "pods").glob(f"*_{member}_*/member/*.log")
    places = [line.rpartition(" ")[2] for file in found for line in file.read_text().splitlines() if "is in its place on" in line]
    assert sorted(places) == sorted([story.seen[f"node of {member}"], story.pods()[member]["spec"]["nodeName"]])


def test_with_nobody_left_who_places_members_those_that_stay_start_again_and_one_that_must_move_waits(story: Story, attended: Run) -> None:
    """No reconciler, no AWS: a member whose name can't be confirmed waits for a minute where it last ran, says so, and starts."""
    end(attended)
    before, nodes = story.pods(), set(story.judge.objects("nodes"))
    on = {node: [name for name, pod in before.items() if pod["spec"]["nodeName"] == node and name != "loose-0"] for node in nodes}
    switches = Switches(story.workshop.running.aws.endpoint)
    number = switches.order("error", match={}, code="ServiceUnavailable", status=503)
    try:
        for node in sorted(nodes):
            delete(story, on[node], away_from=nodes - {node})
        delete(story, ["loose-0"], away_from={before["loose-0"]["spec"]["nodeName"]})
        staying = before.keys() - {"loose-0"}
        story.until(lambda: all(story.pods()[name]["status"]["phase"] == "Running" for name in staying))
        story.until(lambda: is_ready(story.pods()["fixed-0"]))  # the others' names lead to where they were
        after = story.pods()
        assert {name: after[name]["spec"]["nodeName"] for name in staying} == {name: before[name]["spec"]["nodeName"] for name in staying}
        for name in ("docs-0", "docs-1", "docs-2", "calm-0"):
            assert "it last ran on this node" in story.workshop.kubectl("logs", name, "-c", "member")
        assert after["loose-0"]["status"]["phase"] == "Pending", "it is elsewhere, and so waits for as long as it takes"
    finally:
        switches.lift(number)
    again = attend(story)
    story.until(lambda: all(map(is_ready, story.pods().values())))
    end(again)


def delete(story: Story, names: list[str], away_from: set[str]) -> None:
    """Delete Pods, and see to it that their successors come to no node of *away_from*."""
    if not names:
        return
    old = {name: story.pods()[name]["metadata"]["uid"] for name in names}
    story.workshop.kubectl("cordon", *sorted(away_from))
    story.workshop.kubectl("delete", "pod", *names, "--wait=false")

    def are_placed() -> bool:
        pods = story.pods()
        return all((pod := pods.get(name)) and pod["metadata"]["uid"] != old[name] and "nodeName" in pod["spec"] for name in names)

    story.until(are_placed)
    story.workshop.kubectl("uncordon", *sorted(away_from))
