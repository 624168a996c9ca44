"""The conditions of a member: one for each thing that it can lack, with its reason, since when, and in words for people with its age."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler import errors, kinds
from reconciler.members import conditions, listing
from reconciler.members.controller import Controller
from reconciler.members.live import Attachment, Container, Interface, Lease, Live, Node, Pod, Record, Set
from reconciler.members.member import declared
from reconciler.model.outcome import Done, Failed, Outcome, Waiting, spell
from reconciler.model.service import Service
from tests.unit.member_world import ENVIRONMENT, Time, World

KV = Service(name="kv", type="redis", namespace="default", replicas=1, volumes={"data": {"size": "1Gi"}})
ZK = Service(name="zk", type="zookeeper", namespace="default", replicas=1, addresses="private", volumes={"data": {"size": "1Gi"}})
KV_0, ZK_0 = declared([KV, ZK], ENVIRONMENT, kinds.service_types())
ZONE = "us-east-1a"
NOW = 1_760_000_000.0  # 2025-10-09T08:53:20Z
SCHEDULED, LEFT, BROKE = "2025-10-09T08:49:00Z", "2025-10-09T08:43:00Z", "2025-10-09T08:53:00Z"
STARTED = (Container("main", ready=True, state="running"),)
WAITS = (Container("main", state="waiting", reason="PodInitializing"),)
POD = Pod("kv-0", "default", "uid-1", "a1", "10.0.0.1", "Running", ready=True, revision="r1", scheduled_since=SCHEDULED, containers=STARTED)
A1, A2 = Node("a1", "i-a1", ZONE), Node("a2", "i-a2", ZONE)
PV, ENI = "lab-kv-0-data", "interface/lab/zk/zk-0"
GOOD = Live(
    pods={"kv-0": (POD,), "zk-0": (replace(POD, name="zk-0"),)},
    sets={("default", name): Set(name, "default", 1, 1, 1, "r1", checksum="c1") for name in ("kv", "zk")},
    nodes={"a1": A1, "a2": A2},
    leases={"kv-0": Lease("kv-0", "uid-1", 1, since=LEFT)},
    records={
        "kv-0.db.internal": Record("kv-0.db.internal", ("10.0.0.1",), 5),
        "zk-0.db.internal": Record("zk-0.db.internal", ("10.1.0.1",), 5),
    },
    interfaces={ENI: Interface("eni-1", "10.1.0.1", ZONE, "i-a1", "attach-1", "attached", SCHEDULED)},
    handles={PV: "vol-1"},
    zone="Z1",
)


def with_pod(name: str = "kv-0", **changes: Any) -> Live:
    return replace(GOOD, pods={**GOOD.pods, name: (replace(GOOD.pods[name][0], **changes),)})


def starting(**changes: Any) -> Live:
    return replace(with_pod(ready=False, containers=WAITS, ready_since=SCHEDULED), **changes)


def held(node: str, **changes: Any) -> dict[str, Attachment]:
    return {PV: Attachment(PV, node, **{"attached": True, "since": LEFT, **changes})}


AWAY = {"a1": replace(A1, ready=False, since=LEFT)}
UNIT = "waiting until node a1 answers again (its instance i-a1 runs and may still write; `reconcile fence a1` ends it)"
LACKS: list[tuple[str, Any, Live, str, str, str]] = [
    (
        "no node at all",
        KV_0,
        replace(with_pod(node="", ip="", ready=False), nodes={"b1": Node("b1", "i-b1", "us-east-1b")}),
        "ZoneHasNode",
        "NoNode",
        "waiting 4m for a node in zone us-east-1a, which has none",
    ),
    (
        "none that is ready",
        KV_0,
        replace(with_pod(node="", ip="", ready=False), nodes=AWAY),
        "ZoneHasNode",
        "NoReadyNode",
        "waiting 4m for a node in zone us-east-1a to be ready (of 1 none is)",
    ),
    (
        "a node that does not answer",
        KV_0,
        replace(with_pod(terminating=True, ended=SCHEDULED), nodes=AWAY, unreachable={"a1": UNIT.removeprefix("waiting until ")}),
        "OldOwnerReleased",
        "NodeUnreachable",
        UNIT.replace("waiting", "waiting 10m"),
    ),
    (
        "an old Pod",
        KV_0,
        with_pod(terminating=True, ended=BROKE),
        "OldOwnerReleased",
        "PodEnding",
        "waiting 20s for its old Pod on a1 to end",
    ),
    (
        "two Pods",
        KV_0,
        replace(GOOD, pods={"kv-0": (POD, replace(POD, uid="uid-2", node="a2", created=LEFT))}),
        "OldOwnerReleased",
        "TwoPods",
        "waiting 10m for its other Pod on a2 to end",
    ),
    (
        "a volume that another node has",
        KV_0,
        starting(attachments=held("a2")),
        "OldOwnerReleased",
        "VolumeHeld",
        "waiting 4m for node a2 to release vol-1",
    ),
    (
        "one that another node was told to let go",
        KV_0,
        starting(attachments=held("a2", leaving=True, error="still in\nuse")),
        "OldOwnerReleased",
        "VolumeHeld",
        "waiting 10m for node a2 to release vol-1: still in use",
    ),
    (
        "an interface that another node has",
        ZK_0,
        replace(with_pod("zk-0", ready=False), interfaces={ENI: replace(GOOD.interfaces[ENI], instance="i-a2")}),
        "OldOwnerReleased",
        "InterfaceHeld",
        "waiting 4m for node a2 to release eni-1",
    ),
    (
        "a node that is full",
        ZK_0,
        replace(
            with_pod("zk-0", ready=False), interfaces={ENI: replace(GOOD.interfaces[ENI], instance="", status="")}, slots={"i-a1": (8, 8)}
        ),
        "SlotFree",
        "NoFreeSlot",
        "waiting 4m for a free interface slot on node a1: i-a1 holds 8 of the 8 interfaces that its type may have",
    ),
    (
        "an interface on its way",
        ZK_0,
        replace(with_pod("zk-0", ready=False), interfaces={ENI: replace(GOOD.interfaces[ENI], status="attaching")}),
        "AddressBound",
        "NotAttached",
        "waiting 4m for eni-1 to be attached to a1",
    ),
    (
        "no address",
        KV_0,
        with_pod(ip="", ready=False, containers=STARTED),
        "AddressBound",
        "PodHasNone",
        "waiting 4m for its Pod on a1 to have an address",
    ),
    ("a volume", KV_0, starting(), "VolumeReady", "NotAttached", "waiting 4m for vol-1 to be attached to a1"),
    (
        "a volume on its way",
        KV_0,
        starting(attachments=held("a1", attached=False, since=BROKE, error="busy")),
        "VolumeReady",
        "NotAttached",
        "waiting 20s for vol-1 to be attached to a1: busy",
    ),
    (
        "no hosted zone",
        KV_0,
        replace(with_pod(ready=False), zone=""),
        "NameResolves",
        "NoZone",
        "waiting 4m for the hosted zone to be made",
    ),
    (
        "no record",
        KV_0,
        replace(with_pod(ready=False), records={}),
        "NameResolves",
        "NoRecord",
        "waiting 4m for kv-0.db.internal to be 10.0.0.1",
    ),
    (
        "an old record",
        KV_0,
        with_pod(ip="10.0.0.9", ready=False),
        "NameResolves",
        "OtherAddress",
        "waiting 4m for kv-0.db.internal to be 10.0.0.9 (now 10.0.0.1)",
    ),
    (
        "a resolver that has not heard of it",
        KV_0,
        with_pod(ready=False, containers=(Container("member", init=True, state="running"),)),
        "NameResolves",
        "NotAnswered",
        "waiting 4m for the resolver on a1 to answer kv-0.db.internal with 10.0.0.1",
    ),
    ("a probe", KV_0, with_pod(ready=False, ready_since=BROKE), "AppReady", "NotReady", "waiting 20s until it is ready"),
    (
        "a restart with a new configuration",
        KV_0,
        replace(with_pod(revision="r0", checksum="c0"), revisions={"r1": LEFT}),
        "ConfigInSync",
        "PendingRestart",
        "waiting 10m for its restart with a new configuration (revision r1, now r0)",
    ),
    (
        "one with another template, of which nobody knows since when",
        KV_0,
        with_pod(revision="r0", checksum="c1"),
        "ConfigInSync",
        "PendingRestart",
        "waiting for its restart with a new Pod template (revision r1, now r0)",
    ),
]


@pytest.mark.parametrize(("reason", "member", "live", "type", "word", "said"), LACKS, ids=[one[0] for one in LACKS])
def test_what_a_member_lacks_is_told_with_its_age(reason: str, member: Any, live: Live, type: str, word: str, said: str) -> None:
    outcome = Waiting("it is ready")
    told = conditions.of_member(member, live, outcome)
    first = next(one for one in told if one.status == "False")
    assert (first.type, first.reason) == (type, word), reason
    assert spell(conditions.explained(outcome, told, NOW)) == said, reason


@pytest.mark.parametrize("member", [KV_0, ZK_0])
def test_a_member_that_works_lacks_nothing(member: Any) -> None:
    told = conditions.of_member(member, GOOD, Done())
    assert {one.status for one in told} == {"True"}
    types = ["ZoneHasNode", "OldOwnerReleased", "SlotFree", "AddressBound", "VolumeReady", "NameResolves", "AppReady", "ConfigInSync"]
    assert [one.type for one in told] == [one for one in types if member is ZK_0 or one != "SlotFree"]
    assert told[0].since == SCHEDULED


def test_a_failure_is_told_in_its_own_words() -> None:
    failed: Outcome = Failed("not allowed")
    assert conditions.explained(failed, conditions.of_member(KV_0, starting(), failed), NOW) is failed


def test_who_owns_it_has_owned_it_since_its_lease_says_so() -> None:
    told = {one.type: one for one in conditions.of_member(KV_0, GOOD, Done())}
    assert told["OldOwnerReleased"].since == LEFT
    other = replace(GOOD, leases={"kv-0": Lease("kv-0", "uid-9", 1, since=LEFT)})
    assert {one.type: one for one in conditions.of_member(KV_0, other, Done())}["OldOwnerReleased"].since == ""


def test_what_was_not_read_is_unknown() -> None:
    bare = replace(with_pod(node="", ready=False), nodes={}, sets={})
    assert [(one.type, one.status) for one in conditions.of_member(KV_0, bare, Waiting("it has a node"))] == [
        ("ZoneHasNode", "Unknown"),
        ("AppReady", "False"),
        ("ConfigInSync", "Unknown"),
    ]


def test_a_stopped_member_is_only_stopped() -> None:
    stopped = replace(KV_0, stopped=True)
    (told,) = conditions.of_member(stopped, replace(GOOD, pods={}), Done())
    assert (told.type, told.reason, told.message) == ("AppReady", "Stopped", "")


def test_words_that_age_are_no_news() -> None:
    assert Waiting("it is ready", "waiting 4m") == Waiting("it is ready", "waiting 5m")
    assert Time().now() == NOW


def world() -> World:
    made = World()
    made.node("a1")
    for name in ("kv", "zk"):
        made.stateful_set(name, 1)
    made.interface("zk-0", "zk")
    return made


def test_a_node_without_a_free_slot_is_named_by_who_looks_and_by_who_acts() -> None:
    made = world()
    for place, name in enumerate(("x-0", "x-1"), 1):
        made.interface(name, "x")
        made.call("ec2", "attach_network_interface", NetworkInterfaceId=f"eni-{name}", InstanceId="i-a1", DeviceIndex=place)
    made.pod("zk-0", "a1", ready=False)
    seen = Controller(made, made, Time(), ENVIRONMENT).look([ZK_0])
    assert "i-a1 holds 3 of the 3 interfaces that its type may have" in spell(seen.members["zk-0"])
    made.failing["attach_network_interface"] = errors.ProviderError("refused", code="AttachmentLimitExceeded")
    acted = Controller(made, made, Time(), ENVIRONMENT).tick([ZK_0])
    assert acted.members["zk-0"] == Failed("a1 has no free slot for eni-zk-0: i-a1 holds 3 interfaces, its limit", retryable=True)


def test_who_looks_reads_the_names_of_volumes_and_the_ages_of_revisions() -> None:
    made = world()
    made.node("a2")
    made.pod("kv-0", "a1", ready=False, revision="kv-old", containerStatuses=[{"name": "main", "state": {"waiting": {"reason": "-"}}}])
    made.pods["kv-0"]["status"]["conditions"].append({"type": "PodScheduled", "status": "True", "lastTransitionTime": SCHEDULED})
    made.stateful_set("kv", 1, "kv-new")
    for name, when in (("kv-old", LEFT), ("kv-new", BROKE)):
        made.revisions[name] = {"metadata": {"name": name, "namespace": "default", "creationTimestamp": when}}
    made.disks[PV] = {"metadata": {"name": PV}, "spec": {"csi": {"volumeHandle": "vol-0a1b"}}}
    held_by = {"nodeName": "a2", "source": {"persistentVolumeName": PV}}
    made.attachments.append({"metadata": {"creationTimestamp": LEFT}, "spec": held_by, "status": {"attached": True}})
    clock = Time()
    standing = Controller(made, made, clock, ENVIRONMENT).look([KV_0])
    assert spell(standing.services["kv"]) == "waiting 4m for node a2 to release vol-0a1b"
    (row,) = listing.rows([KV_0], standing, clock.now())
    assert row.reason == "waiting 4m for node a2 to release vol-0a1b"
    assert {one.type: age for one, age in row.conditions}["ConfigInSync"] == 20.0
    del made.revisions["kv-new"]
    (row,) = listing.rows([KV_0], Controller(made, made, clock, ENVIRONMENT).look([KV_0]), clock.now())
    assert {one.type: age for one, age in row.conditions}["ConfigInSync"] is None, "it came back: nobody knows when"
