"""The members controller: what it decides, what it says, and that no interleaving lets a loser displace a winner."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import errors, kinds
from reconciler.members import act, listing
from reconciler.members.controller import PAUSE, VERIFY_EVERY, Controller
from reconciler.members.member import Member, declared, departing
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.outcome import Done, Failed, Outcome, Waiting
from reconciler.model.service import Service
from tests.turns import Task, Turns
from tests.unit.member_world import ENVIRONMENT, Time, World

KV = Service(name="kv", type="redis", namespace="default", replicas=2, volumes={"data": {"size": "1Gi"}})
ZK = Service(name="zk", type="zookeeper", namespace="default", replicas=1, addresses="private", volumes={"data": {"size": "1Gi"}})
MEMBERS = declared([KV, ZK], ENVIRONMENT, kinds.service_types())
KV_0, KV_1, ZK_0 = MEMBERS


def world() -> World:
    made = World()
    for name in ("a1", "a2", "a3"):
        made.node(name)
    made.stateful_set("kv", 2)
    made.stateful_set("zk", 1)
    made.interface("zk-0", "zk")
    return made


def settled() -> World:
    made = world()
    for member, node in (("kv-0", "a1"), ("kv-1", "a2"), ("zk-0", "a1")):
        made.pod(member, node)
    run(made, 6)
    return made


def run(made: World, ticks: int, members: tuple[Member, ...] = MEMBERS, going: tuple[str, ...] = ()) -> dict[str, Outcome]:
    """What a controller of its own says after so many ticks, AWS keeping pace."""
    clock = Time()
    controller = Controller(made, made, clock, ENVIRONMENT)
    standing = controller.tick(members, going)
    for _ in range(ticks - 1):
        made.settle_attachments()
        clock.sleep(PAUSE + 1)
        standing = controller.tick(members, going)
    return {**standing.members, **{f"service {name}": outcome for name, outcome in standing.services.items()}}


def lease(made: World, member: str) -> dict[str, Any]:
    found: dict[str, Any] = made.leases[f"member-{member}"]
    return found


def test_a_placed_member_has_a_lease_a_record_and_an_interface() -> None:
    made = settled()
    assert made.records["kv-0.db.internal."]["ResourceRecords"] == [{"Value": made.pods["kv-0"]["status"]["podIP"]}]
    assert made.records["kv-0.db.internal."]["TTL"] == 5
    assert "zk-0.db.internal." not in made.records  # it is declared, so it is the engine's
    assert made.interfaces["eni-zk-0"]["Attachment"]["InstanceId"] == "i-a1"
    assert lease(made, "kv-0")["spec"]["holderIdentity"] == made.pods["kv-0"]["metadata"]["uid"]
    assert lease(made, "kv-0")["spec"]["leaseTransitions"] == 1
    assert lease(made, "kv-0")["metadata"]["annotations"] == {"reconciler/address": "record/lab/kv-0.db.internal"}
    assert lease(made, "zk-0")["metadata"]["annotations"] == {}
    assert set(run(made, 1).values()) == {Done()}


def test_a_moved_pod_takes_its_record_and_interface_along() -> None:
    made = settled()
    made.pod("kv-0", "a3")
    made.pod("zk-0", "a2")
    assert set(run(made, 6).values()) == {Done()}
    assert made.records["kv-0.db.internal."]["ResourceRecords"] == [{"Value": made.pods["kv-0"]["status"]["podIP"]}]
    assert made.interfaces["eni-zk-0"]["Attachment"]["InstanceId"] == "i-a2"
    assert [lease(made, name)["spec"]["leaseTransitions"] for name in ("kv-0", "kv-1", "zk-0")] == [2, 1, 2]


def test_records_of_several_members_change_in_one_call() -> None:
    made = world()
    made.pod("kv-0", "a1")
    made.pod("kv-1", "a2")
    run(made, 1)
    assert made.calls.count("change_resource_record_sets") == 1
    assert len(made.records) == 2


def test_one_lost_race_does_not_keep_the_others_from_their_records() -> None:
    made = world()
    made.pod("kv-0", "a1")
    made.pod("kv-1", "a2")
    taken = {"Name": "kv-0.db.internal.", "Type": "CNAME", "TTL": 5, "ResourceRecords": [{"Value": "elsewhere."}]}
    made.records["kv-0.db.internal."] = taken
    outcomes = run(made, 1)
    assert made.records["kv-0.db.internal."] == taken
    assert made.records["kv-1.db.internal."]["ResourceRecords"] == [{"Value": made.pods["kv-1"]["status"]["podIP"]}]
    assert isinstance(outcomes["kv-0"], Waiting)
    assert outcomes["kv-1"] == Done()


def test_a_settled_world_costs_two_lists_a_tick_until_it_is_verified_again() -> None:
    made, clock = settled(), Time()
    controller = Controller(made, made, clock, ENVIRONMENT)
    controller.tick(MEMBERS)
    made.calls.clear()
    controller.tick(MEMBERS)
    assert made.calls == ["list pods", "list statefulsets"]
    clock.sleep(VERIFY_EVERY)
    made.records["kv-0.db.internal."]["ResourceRecords"] = [{"Value": "10.9.9.9"}]
    controller.tick(MEMBERS)
    assert made.records["kv-0.db.internal."]["ResourceRecords"] == [{"Value": made.pods["kv-0"]["status"]["podIP"]}]


def test_nothing_is_written_for_a_pod_that_is_going() -> None:
    made = settled()
    made.pods["kv-0"]["metadata"]["deletionTimestamp"] = "2026-11-22T00:00:00Z"
    made.records.clear()
    outcome = run(made, 2, (KV_0,))["kv-0"]
    assert outcome == Waiting("the old Pod of kv-0 on a1 has ended")
    assert made.records == {}


def test_an_interface_is_only_torn_from_an_instance_that_is_known_to_be_off() -> None:
    forced = []
    taint = [{"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}]
    for taints, state in (([], "running"), (taint, "running"), ([], "stopping"), ([], "stopped")):
        made = settled()
        made.node("a1", taints=taints)
        made.answers("a1")
        made.instances["i-a1"] = state
        made.pod("kv-0", "a2")
        made.pod("zk-0", "a2")
        detach = made._detach_network_interface
        made._detach_network_interface = lambda AttachmentId, Force, detach=detach: (forced.append(Force), detach(AttachmentId, Force))  # type: ignore[method-assign] # noqa: N803
        run(made, 1)
    assert forced == [False, False, False, True]


def test_an_interface_goes_to_the_first_free_place_of_an_instance() -> None:
    made = world()
    for name in ("x-0", "x-1"):
        made.interface(name, "x")
        made.call(
            "ec2", "attach_network_interface", NetworkInterfaceId=f"eni-{name}", InstanceId="i-a1", DeviceIndex=1 + 2 * (name == "x-1")
        )
    made.pod("zk-0", "a1")
    run(made, 1)
    assert made.interfaces["eni-zk-0"]["Attachment"]["DeviceIndex"] == 2


def test_a_departed_member_leaves_no_record_once_its_pod_has_ended() -> None:
    made = settled()
    assert run(made, 2, (KV_0, ZK_0), ("kv-1",))["kv-1"] == Waiting("the Pod of kv-1 has ended")
    assert "kv-1.db.internal." in made.records
    del made.pods["kv-1"]
    made.stateful_set("kv", 1)
    assert set(run(made, 3, (KV_0, ZK_0), ("kv-1",)).values()) == {Done()}
    assert list(made.records) == ["kv-0.db.internal."]
    assert "holderIdentity" not in lease(made, "kv-1")["spec"]
    assert lease(made, "kv-1")["metadata"]["annotations"] == {}
    assert lease(made, "kv-1")["spec"]["leaseTransitions"] == 1  # who comes back is owner number two


def test_whoever_comes_after_a_death_between_a_departed_members_record_and_its_lease_releases_it() -> None:
    made = settled()
    del made.pods["kv-1"], made.records["kv-1.db.internal."]
    made.stateful_set("kv", 1)
    run(made, 1, (KV_0, ZK_0))  # the plan has no word of it any more
    assert "holderIdentity" not in lease(made, "kv-1")["spec"]
    assert lease(made, "kv-1")["spec"]["leaseTransitions"] == 1


def test_whose_members_are_only_not_asked_after_is_not_read_again_for_that() -> None:
    """A pass looks at all once, and then at those of whom something is expected: the others' Leases are nobody's to tidy up."""
    made, clock = settled(), Time()
    controller = Controller(made, made, clock, ENVIRONMENT)
    controller.tick(MEMBERS)
    made.calls.clear()
    made.pod("kv-0", "a3")
    controller.tick([KV_0])
    assert made.calls.count("list_resource_record_sets") == 1
    assert "describe_network_interfaces" not in made.calls


def test_the_last_departed_members_lease_is_released_too() -> None:
    made = settled()
    for kind in (made.pods, made.records):
        kind.clear()
    del made.interfaces["eni-zk-0"]
    run(made, 2, ())
    assert not any("holderIdentity" in one["spec"] for one in made.leases.values())


def test_a_member_that_nobody_names_keeps_what_its_pod_may_still_need() -> None:
    made = settled()
    before = dict(made.leases), dict(made.records)
    made.calls.clear()
    run(made, 2, (KV_0, ZK_0))  # its spec cannot be read just now
    del made.pods["kv-1"]  # nor is its Pod there: its record says that it was not given up
    run(made, 2, (KV_0, ZK_0))
    assert (made.leases, made.records) == before


def test_a_departed_member_gives_its_interface_free() -> None:
    made = settled()
    del made.pods["zk-0"]
    assert run(made, 4, (KV_0, KV_1), ("zk-0",))["zk-0"] == Done()
    assert "Attachment" not in made.interfaces["eni-zk-0"]


def test_a_member_that_gives_up_its_address_lets_go_of_it_once_its_pod_does() -> None:
    made = settled()
    now = replace(ZK_0, follows=True)
    made.pods["zk-0"]["spec"]["hostNetwork"] = True
    assert run(made, 1, (now,), ("zk-0",))["zk-0"] == Waiting(
        "zk-0 is in its place: its Pod is made anew without the interface that it had"
    )
    assert made.interfaces["eni-zk-0"]["Attachment"]["Status"] == "attached"
    made.pod("zk-0", "a1")
    assert run(made, 2, (now,), ("zk-0",))["zk-0"] == Done()
    assert "Attachment" not in made.interfaces["eni-zk-0"]
    assert made.records["zk-0.db.internal."]["ResourceRecords"] == [{"Value": made.pods["zk-0"]["status"]["podIP"]}]


def test_a_record_that_members_did_not_write_is_never_removed() -> None:
    made = world()
    made.records["www.db.internal."] = {"Name": "www.db.internal.", "Type": "A", "TTL": 5, "ResourceRecords": [{"Value": "10.0.0.1"}]}
    assert run(made, 2, (), ("www",))["www"] == Done()
    assert list(made.records) == ["www.db.internal."]


def test_what_departs_is_read_from_the_plan() -> None:
    ids = [
        ResourceId("record", "lab", "", "kv-1.db.internal"),
        ResourceId("interface", "lab", "zk", "zk-2"),
        ResourceId("volume", "lab", "kv", "kv-9/data"),
    ]
    changes = [Change(id, "delete", "members", "no longer declared", "kv") for id in ids]
    changes.append(Change(ResourceId("record", "lab", "", "kv-0.db.internal"), "keep", "members", "", "kv"))
    assert departing(changes, ENVIRONMENT) == {"kv-1", "zk-2"}


def container(**state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "redis", "ready": False, "restartCount": 3, **state}]}


def waiting(reason: str, said: str = "", **last: Any) -> dict[str, Any]:
    state = {"state": {"waiting": {"reason": reason, "message": said}}}
    return container(**state, **({"lastState": {"terminated": last}} if last else {}))


NOT_READY: list[tuple[str, dict[str, Any], Outcome]] = [
    (
        "a wrong image",
        waiting("InvalidImageName", "invalid reference"),
        Failed("container redis of kv-0 has an image name that is none: invalid reference"),
    ),
    (
        "no such image",
        waiting("ImagePullBackOff", "not found"),
        Waiting("container redis of kv-0 has its image: ImagePullBackOff: not found"),
    ),
    (
        "no such secret",
        waiting("CreateContainerConfigError", 'secret "x" not found'),
        Waiting('container redis of kv-0 can be made: CreateContainerConfigError: secret "x" not found'),
    ),
    (
        "a crash loop",
        waiting("CrashLoopBackOff", exitCode=1, message="Bad directive\nline 3\n"),
        Waiting("container redis of kv-0 stays up: it ended with code 1, 3 times by now: Bad directive | line 3"),
    ),
    (
        "a first crash",
        container(state={"terminated": {"exitCode": 2, "message": "oops"}}),
        Waiting("container redis of kv-0 is started again: it ended with code 2: oops"),
    ),
    (
        "an unready one",
        container(state={"running": {}}),
        Waiting("kv-0 on a1 is ready: its probe has not passed yet (redis)"),
    ),
    (
        "an unattached volume",
        container(state={"waiting": {"reason": "PodInitializing"}}),
        Waiting("volume data of kv-0 is attached to a1"),
    ),
]


@pytest.mark.parametrize(("reason", "status", "outcome"), NOT_READY, ids=[one[0] for one in NOT_READY])
def test_a_member_says_what_it_waits_for(reason: str, status: dict[str, Any], outcome: Outcome) -> None:
    made = world()
    made.pod("kv-0", "a1", ready=False, **status)
    made.pod("kv-1", "a1")
    assert run(made, 2)["kv-0"] == outcome, reason


def test_an_attachment_that_fails_says_why() -> None:
    made = world()
    made.pod("kv-0", "a1", ready=False, **container(state={"waiting": {"reason": "ContainerCreating"}}))
    spec = {"nodeName": "a1", "source": {"persistentVolumeName": "lab-kv-0-data"}}
    made.attachments.append({"spec": spec, "status": {"attached": False, "attachError": {"message": "volume is in use"}}})
    assert run(made, 2, (KV_0,))["kv-0"] == Waiting("volume data of kv-0 is attached to a1: volume is in use")
    made.attachments[0]["status"] = {"attached": True}
    assert run(made, 2, (KV_0,))["kv-0"] == Waiting("the containers of kv-0 are started on a1")


def test_a_pod_without_a_node_names_its_zone_or_the_scheduler() -> None:
    made = world()
    unscheduled = {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes: too many pods"}]}
    made.pod("kv-0", **unscheduled)
    made.pod("kv-1", **unscheduled)
    outcomes = run(made, 1)
    assert outcomes["kv-0"] == Waiting("kv-0 has a node: 0/3 nodes: too many pods")
    assert outcomes["kv-1"] == Waiting("kv-1 has a node: zone us-east-1b has no node")
    made.node("b1", "us-east-1b", unschedulable=True)
    assert run(made, 1)["kv-1"] == Waiting("kv-1 has a node: of 1 nodes in zone us-east-1b none is ready")


def test_a_stateful_set_whose_pods_nobody_has_made_is_not_ready() -> None:
    made = world()
    assert run(made, 1)["service kv"] == Waiting("a Pod of kv-0 is made (and 1 more of 2 members)")
    made.sets.clear()
    assert run(made, 1)["service zk"] == Waiting("the StatefulSet default/zk is made")
    made.stateful_set("zk", 1, observedGeneration=0)
    assert run(made, 1)["zk-0"] == Waiting("the StatefulSet zk is seen by its controller at generation 1")


def test_ready_at_an_old_revision_is_not_done() -> None:
    made = settled()
    made.stateful_set("kv", 2, "r2")
    assert run(made, 1)["kv-0"] == Waiting("kv-0 runs revision r2 (now r1)")


def test_more_replicas_than_declared_are_not_done() -> None:
    made = settled()
    made.stateful_set("kv", 3)
    assert run(made, 1)["service kv"] == Waiting("the StatefulSet kv has 2 replicas (now 3)")


def test_a_stopped_service_is_done_when_its_pods_are_gone() -> None:
    made = settled()
    stopped = tuple(replace(member, stopped=True) for member in (KV_0, KV_1))
    assert run(made, 1, stopped)["kv-0"] == Waiting("the Pod of kv-0 has ended")
    made.pods.clear()
    assert run(made, 1, stopped)["service kv"] == Waiting("the StatefulSet kv has 0 replicas (now 2)")
    made.stateful_set("kv", 0)
    assert set(run(made, 1, stopped).values()) == {Done()}


def test_a_pod_that_cannot_start_makes_room_for_the_mended_one() -> None:
    made = settled()
    made.pod("kv-0", "a1", ready=False, **waiting("CrashLoopBackOff", exitCode=1))
    run(made, 1)
    assert "kv-0" in made.pods  # there is no newer revision that could do better
    made.stateful_set("kv", 2, "r2")
    made.pod("kv-1", "a2", ready=False, **container(state={"running": {}}))
    run(made, 1)
    assert list(made.pods) == ["kv-1", "zk-0"]  # one that runs but is not ready may yet be


def test_only_the_pod_that_was_judged_is_deleted() -> None:
    made = settled()
    made.pod("kv-0", "a1", ready=False, **waiting("CrashLoopBackOff", exitCode=1))
    made.stateful_set("kv", 2, "r2")
    delete = made.delete

    def overtaken(*what: Any, **of: Any) -> bool:
        made.pod("kv-0", "a2", revision="r2")
        return delete(*what, **of)

    made.delete = overtaken  # type: ignore[method-assign]
    run(made, 1, (KV_0,))
    assert made.pods["kv-0"]["spec"]["nodeName"] == "a2"


def test_a_pod_that_comes_back_does_not_trust_an_attachment_that_was_to_go() -> None:
    made = settled()
    late = made.interfaces["eni-zk-0"]["Attachment"]["AttachmentId"]
    made.pod("zk-0", "a2")
    made.failing["detach_network_interface"] = errors.TransientError("no answer in time")  # it is on its way all the same
    run(made, 1)
    made.failing.clear()
    made.pod("zk-0", "a1")
    assert set(run(made, 6).values()) == {Done()}
    assert made.interfaces["eni-zk-0"]["Attachment"]["InstanceId"] == "i-a1"
    with pytest.raises(errors.ProviderError, match="no such attachment"):
        made.call("ec2", "detach_network_interface", AttachmentId=late, Force=False)


def test_an_init_container_that_waits_is_named_with_what_its_place_lacks() -> None:
    made = world()
    made.zones.clear()
    made.pod("kv-0", "a1", ready=False, initContainerStatuses=[{"name": "member", "state": {"running": {}}}])
    assert run(made, 1, (KV_0,))["kv-0"] == Waiting("kv-0 is in its place: the hosted zone is made")
    made.zones.append("Z1")
    assert run(made, 1, (KV_0,))["kv-0"] == Waiting("init container member of kv-0 has ended")


def test_two_hosted_zones_of_one_name_are_for_a_person() -> None:
    made = world()
    made.zones.append("Z2")
    made.pod("kv-0", "a1")
    outcome = run(made, 1, (KV_0,))["kv-0"]
    assert outcome == Failed("there are 2 hosted zones named db.internal: Z1, Z2", retryable=True)


def test_a_throttle_is_waited_out_and_a_refusal_is_not() -> None:
    made = world()
    made.pod("kv-0", "a1")
    made.failing["change_resource_record_sets"] = errors.TransientError("slower, please", code="Throttling")
    assert run(made, 1, (KV_0,))["kv-0"] == Waiting("this succeeds: slower, please")
    made.failing["change_resource_record_sets"] = errors.ProviderError("not allowed", code="AccessDenied")
    assert run(made, 1, (KV_0,))["kv-0"] == Failed("not allowed", retryable=True)
    made.failing.clear()
    assert run(made, 1, (KV_0,))["kv-0"] == Done()


def test_what_cannot_be_read_is_not_judged() -> None:
    made = settled()
    made.failing["list pods"] = errors.TransientError("the API server is away")
    assert set(run(made, 1).values()) == {Waiting("this succeeds: the API server is away")}


def test_looking_writes_nothing() -> None:
    made = world()
    made.pod("kv-0", "a1")
    made.pod("zk-0", "a1")
    clock = Time()
    standing = Controller(made, made, clock, ENVIRONMENT).look(MEMBERS)
    assert not [call for call in made.calls if not call.startswith(("list", "describe"))]
    assert made.leases == {}
    address = made.pods["kv-0"]["status"]["podIP"]
    assert standing.members["kv-0"] == Waiting(f"kv-0 is in its place: kv-0.db.internal is {address}")
    rows = {row.member: row for row in listing.rows(MEMBERS, standing, clock.now())}
    assert (rows["kv-0"].node, rows["kv-0"].zone, rows["kv-0"].address, rows["kv-0"].ready) == ("a1", "us-east-1a", address, False)
    assert (rows["zk-0"].address, rows["zk-0"].phase, rows["kv-1"].phase) == ("10.1.0.1", "Running", "Missing")
    assert rows["kv-1"].reason == "waiting for a node in zone us-east-1b, which has none"
    assert [(one.type, one.status) for one, _ in rows["kv-1"].conditions] == [("ZoneHasNode", "False"), ("AppReady", "False")]


def test_volumes_are_marked_before_they_are_forgotten() -> None:
    made = world()
    act.retain(made, [f"vol-{n}" for n in range(150)], "9f2c11a")
    assert made.calls.count("create_tags") == 2
    assert made.calls.count("tag vol-149 reconciler/retained=9f2c11a") == 1


# Two controllers, Pods that move and an AWS that takes its time, in any order: every call of a port is a turn.

Turn = tuple[str, int]  # who, and how many calls of a port; for Pods and AWS, once
WHOLE = 99  # more than a tick has
ANY = st.tuples(st.sampled_from("ab"), st.integers(1, 14) | st.just(WHOLE)) | st.tuples(st.sampled_from(["kv", "zk", "aws"]), st.just(1))


def overtaken(slow: str, calls: int, moved: str) -> list[Turn]:
    """What goes wrong most easily: one stops in mid-tick, the Pod moves, the other is through before the first goes on."""
    fast = "b" if slow == "a" else "a"
    return [(slow, calls), (moved, 1), (fast, WHOLE), ("aws", 1), (fast, WHOLE), (slow, WHOLE)]


OVERTAKEN = st.builds(overtaken, st.sampled_from("ab"), st.integers(1, 14), st.sampled_from(["kv", "zk"]))
PARTS = st.lists(ANY.map(lambda one: [one]) | OVERTAKEN, min_size=1, max_size=8)
NODES = st.lists(st.sampled_from(["a1", "a2", "a3"]), min_size=50, max_size=50)


def owns(made: World, member: str) -> bool:
    found = made.leases.get(f"member-{member}")
    return bool(found) and found["spec"]["holderIdentity"] == made.pods[member]["metadata"]["uid"]


def won(made: World, born: dict[str, int]) -> dict[str, object]:
    """What winners have: a record that says their address, an interface that was brought for them."""
    places: dict[str, object] = {}
    record = made.records.get("kv-0.db.internal.")
    if owns(made, "kv-0") and record and record["ResourceRecords"] == [{"Value": made.pods["kv-0"]["status"]["podIP"]}]:
        places["kv-0"] = record["ResourceRecords"]
    attachment = made.interfaces["eni-zk-0"].get("Attachment", {})
    at_home = attachment.get("InstanceId") == f"i-{made.pods['zk-0']['spec']['nodeName']}"
    if owns(made, "zk-0") and at_home and attachment["made"] > born["zk-0"]:
        places["zk-0"] = (attachment["AttachmentId"], attachment["Status"] != "detaching")
    return places


class Race:
    """Two controllers over one world, stepped from outside; after every step winners still have what they had."""

    def __init__(self, nodes: list[str], members: tuple[Member, ...]) -> None:
        self.made, self.scheduler, self.where, self.members = world(), Turns(), iter(nodes), members
        self.made.pausing = self.scheduler.pause
        self.clock = Time()
        self.controllers = {name: Controller(self.made, self.made, self.clock, ENVIRONMENT) for name in "ab"}
        self.running: dict[str, Task] = {}
        self.born: dict[str, int] = {}
        self.owners: dict[str, list[tuple[int, str]]] = {"member-kv-0": [], "member-zk-0": []}
        self.move("kv-0")
        self.move("zk-0")

    def move(self, member: str) -> None:
        self.made.pod(member, next(self.where))
        self.born[member] = self.made._next()

    def take(self, who: str, count: int) -> None:
        if who in self.controllers and (who not in self.running or self.running[who].over):
            self.clock.sleep(PAUSE + 1)
            self.running[who] = self.scheduler.begin(lambda: self.controllers[who].tick(self.members))
        for _ in range(count):
            before = won(self.made, self.born)
            goes_on = self._step(who)
            after = won(self.made, self.born)
            assert {name: after.get(name) for name in before if name != f"{who}-0"} == {n: v for n, v in before.items() if n != f"{who}-0"}
            self._note_owners()
            if not goes_on:
                return

    def _step(self, who: str) -> bool:
        if who in self.running:
            return self.running[who].step()
        if who == "aws":
            self.made.settle_attachments()
        else:
            self.move(f"{who}-0")
        return False

    def _note_owners(self) -> None:
        for name, found in self.made.leases.items():
            owner = (found["spec"]["leaseTransitions"], found["spec"]["holderIdentity"])
            if owner not in self.owners[name]:
                self.owners[name].append(owner)

    def finish(self) -> None:
        for task in self.running.values():
            while task.step():
                pass


@given(parts=PARTS, nodes=NODES, members=st.sampled_from([(KV_0,), (ZK_0,), (KV_0, ZK_0)]))
@settings(max_examples=250, deadline=None)
def test_no_interleaving_lets_a_loser_displace_a_winner(parts: list[list[Turn]], nodes: list[str], members: tuple[Member, ...]) -> None:
    race = Race(nodes, members)
    for who, count in itertools.chain.from_iterable(parts):
        race.take(who, count)
    race.finish()
    race.made.stateful_set("kv", 1)
    assert set(run(race.made, 8, members).values()) == {Done()}
    for owners in race.owners.values():
        assert [epoch for epoch, _ in owners] == list(range(1, len(owners) + 1))  # each owner once, each with an epoch of its own
