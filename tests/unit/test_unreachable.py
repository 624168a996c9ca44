"""Nodes that do not answer: what is done about them, by what EC2 says and what the environment allows; never while one may still write."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import errors, kinds
from reconciler.members import fencing, live, read, unreachable
from reconciler.members.controller import PAUSE, VERIFY_EVERY, Controller, Standing
from reconciler.members.live import Live, Node, Pod
from reconciler.members.member import declared
from reconciler.model.environment import MembersSettings
from reconciler.model.outcome import Done, Waiting
from reconciler.model.service import Service
from tests import memory_world
from tests.turns import Task, Turns
from tests.unit.member_world import ENVIRONMENT, Time, World

KV = Service(name="kv", type="redis", namespace="default", replicas=1, volumes={"data": {"size": "1Gi"}})
MEMBERS = declared([KV], ENVIRONMENT, kinds.service_types())
STOPPING = ENVIRONMENT.model_copy(update={"members": MembersSettings(unreachable="stop")})
NOW = 1_760_000_000.0
OUT: dict[str, Any] = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
THEIRS: dict[str, Any] = {"key": "dedicated", "value": "databases", "effect": "NoSchedule"}


def node(name: str = "a1", *, ready: bool = False, ago: float = 600, zone: str = "a", **more: Any) -> Node:
    more = {"silent": not ready, **more}
    return Node(name, f"i-{name}", zone, ready, since=datetime.fromtimestamp(NOW - ago, UTC).isoformat(), **more)


def seen(*nodes: Node, state: str = "", on: str = "a1") -> Live:
    pods = {"kv-0": (Pod("kv-0", "default", "uid-1", on),)}
    return Live(pods=pods, nodes={one.name: one for one in nodes}, instances={"i-a1": state} if state else {})


OTHER = node("a2", ready=True)
FAR = node("b1", ready=True, zone="b")
TABLE: list[tuple[str, Live, str, str, str]] = [
    ("a stopped instance writes no more", seen(node(), OTHER, state="stopped"), "wait", "taint", "Kubernetes takes its Pods off node a1"),
    ("nor does a terminated one", seen(node(), OTHER, state="terminated"), "wait", "taint", "whose instance i-a1 is terminated"),
    ("nor one that is gone", seen(node(), OTHER, state="gone"), "wait", "taint", "whose instance i-a1 is gone"),
    ("once is enough", seen(node(taints=(OUT,)), OTHER, state="stopped"), "wait", "", "Kubernetes takes its Pods off"),
    ("stopping is not stopped", seen(node(), OTHER, state="stopping"), "stop", "", "has stopped (now stopping)"),
    ("nor is shutting down", seen(node(), OTHER, state="shutting-down"), "stop", "", "has stopped (now shutting-down)"),
    ("what EC2 does not say is not known", seen(node(), OTHER), "stop", "", "or EC2 says what has become of its instance i-a1"),
    ("one that runs is left alone", seen(node(), OTHER, state="running"), "wait", "", "`reconcile fence a1` ends it"),
    ("however long", seen(node(ago=10**6), OTHER, state="running"), "wait", "", "may still write"),
    ("or stopped, where that is allowed", seen(node(), OTHER, state="running"), "stop", "stop", "instance i-a1 of node a1 has stopped"),
    ("so is one that starts", seen(node(), OTHER, state="pending"), "stop", "stop", "has stopped"),
    (
        "but not one whose kubelet still speaks",
        seen(node(silent=False), OTHER, state="running"),
        "stop",
        "",
        "node a1 is ready (its kubelet says that it is not; `reconcile fence a1` ends it)",
    ),
    ("nor at once", seen(node(ago=299), OTHER, state="running"), "stop", "", "it is stopped after 5m"),
    ("nor where nobody could take over", seen(node(), FAR, state="running"), "stop", "", "no other node of zone a could take its members"),
    (
        "nor where those that could are cordoned",
        seen(node(), node("a2", ready=True, schedulable=False), state="running"),
        "stop",
        "",
        "no other node of zone a",
    ),
    (
        "nor where most are away: that is no fault of theirs",
        seen(node(), OTHER, node("a3"), state="running"),
        "stop",
        "",
        "most nodes of zone a do not answer",
    ),
]


@pytest.mark.parametrize(("reason", "found", "policy", "deed", "said"), TABLE, ids=[one[0] for one in TABLE])
def test_what_is_done_about_a_node_that_does_not_answer(reason: str, found: Live, policy: Any, deed: str, said: str) -> None:
    (finding,) = unreachable.find(found, MembersSettings(unreachable=policy), NOW)
    assert (finding.node.name, finding.deed) == ("a1", deed), reason
    assert said in finding.until, reason


OURS = {"taints": (OUT,), "fenced": "i-a1 was off"}
LEFT: list[tuple[str, Live]] = [
    ("it answers", seen(node(ready=True), state="stopped")),
    ("no member lies there", seen(node(), OTHER, on="a2", state="stopped")),
    ("somebody else's taint on one that answers", seen(node(ready=True, taints=(OUT,)))),
    ("our taint on one that does not answer yet", seen(node(**OURS), on="a2")),
]


@pytest.mark.parametrize(("reason", "found"), LEFT, ids=[one[0] for one in LEFT])
def test_a_node_that_is_left_alone(reason: str, found: Live) -> None:
    assert not unreachable.find(found, MembersSettings(unreachable="stop"), NOW), reason


@pytest.mark.parametrize("taints", [(OUT,), ()])
def test_our_own_taint_is_taken_off_a_node_that_answers_and_so_is_our_note_of_it(taints: Any) -> None:
    found = unreachable.find(seen(node(ready=True, fenced="i-a1 was off", taints=taints)), MembersSettings(), NOW)
    assert [one.deed for one in found] == ["clear"]
    assert unreachable.words(found) == {}, "nobody waits for it"


def test_an_instance_that_is_not_found_is_gone_only_beside_one_that_is() -> None:
    made = World()
    made.node("a2")
    assert read.instances(made, ["i-a1"], ["i-a2"]) == {"i-a1": "gone"}
    assert read.instances(made, ["i-a1"], []) == {}
    assert read.instances(made, ["i-a1"], ["i-b9"]) == {}, "another account, or another region"
    made.instances["i-a1"] = "stopped"
    assert read.instances(made, ["i-a1"], []) == {"i-a1": "stopped"}


def test_the_environment_says_what_becomes_of_nodes_that_run_and_do_not_answer() -> None:
    said = memory_world.desired(memory_world.ENVIRONMENT + "  members: {unreachable: stop, unreachableAfter: 90s}\n").environment.members
    assert (said.unreachable, said.unreachable_after.seconds) == ("stop", 90)
    default = memory_world.desired("").environment.members
    assert (default.unreachable, default.unreachable_after.seconds) == ("wait", 300)


# How it goes over time, by the controller


def broken(state: str = "running", **spec: Any) -> World:
    """A member settled on a1 of three nodes, and a1 gone silent."""
    made = World()
    for name in ("a1", "a2", "a3"):
        made.node(name, **(spec if name == "a1" else {}))
    made.stateful_set("kv", 1)
    made.pod("kv-0", "a1")
    Controller(made, made, Time(), ENVIRONMENT).tick(MEMBERS)
    made.answers("a1")
    made.pods["kv-0"]["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    made.instances["i-a1"] = state
    made.calls.clear()
    return made


def taints(made: World, name: str = "a1") -> list[Any]:
    return list(made.nodes[name]["spec"].get("taints", ()))


def test_a_node_whose_instance_is_off_is_fenced_with_its_other_taints_kept() -> None:
    made = broken("stopped", taints=[THEIRS])
    standing = Controller(made, made, Time(), ENVIRONMENT).tick(MEMBERS)
    assert taints(made) == [THEIRS, OUT]
    assert made.nodes["a1"]["metadata"]["annotations"] == {"reconciler/fenced": "i-a1 was off at 2025-10-09T08:53:20Z"}
    assert ("node/a1", "fenced: its instance i-a1 is off") in standing.deeds
    assert standing.members["kv-0"] == Waiting("Kubernetes takes its Pods off node a1, whose instance i-a1 is stopped")


def test_pods_that_are_to_end_on_a_fenced_node_are_taken_away_without_waiting_for_who_collects_them() -> None:
    made = broken("stopped")
    controller = Controller(made, made, Time(), ENVIRONMENT)
    controller.tick(MEMBERS)
    assert not [call for call in made.calls if call.startswith("delete")], "Kubernetes has not asked it to end yet"
    made.pods["kv-0"]["metadata"]["deletionTimestamp"] = "2025-10-09T08:53:20Z"
    standing = controller.tick(MEMBERS)
    assert "kv-0" not in made.pods
    assert [call for call in made.calls if call.startswith("delete")] == ["delete pods kv-0 at once"]
    assert ("node/a1", "kv-0 taken off it: its instance i-a1 is off, and nobody there can end them") in standing.deeds


@pytest.mark.parametrize("state", ["running", "stopping", ""])
def test_a_pod_that_is_to_end_where_it_may_still_run_is_left_to_kubernetes(state: str) -> None:
    made = broken(state, taints=[OUT])
    made.pods["kv-0"]["metadata"]["deletionTimestamp"] = "2025-10-09T08:53:20Z"
    Controller(made, made, Time(), ENVIRONMENT).tick(MEMBERS)
    assert "kv-0" in made.pods


def test_the_fence_is_taken_away_once_the_node_answers_again() -> None:
    made = broken("stopped", taints=[THEIRS])
    clock = Time()
    controller = Controller(made, made, clock, ENVIRONMENT)
    controller.tick(MEMBERS)
    made.pod("kv-0", "a2")
    controller.tick(MEMBERS)
    assert taints(made) == [THEIRS, OUT]
    made.instances["i-a1"] = "running"
    made.answers("a1", "True")
    clock.sleep(VERIFY_EVERY)
    standing = controller.tick(MEMBERS)
    assert (taints(made), made.nodes["a1"]["metadata"]["annotations"]) == ([THEIRS], {})
    assert ("node/a1", "fenced no more: it answers again") in standing.deeds
    assert standing.members["kv-0"] == Done()


def test_a_node_that_runs_is_only_told_about() -> None:
    made, clock = broken(), Time()
    controller = Controller(made, made, clock, ENVIRONMENT)
    for _ in range(20):
        standing = controller.tick(MEMBERS)
        clock.sleep(100)
    assert "its instance i-a1 runs and may still write" in str(standing.members["kv-0"])
    assert not [call for call in made.calls if call.startswith(("patch", "stop", "detach", "delete"))]


def test_a_node_that_runs_is_stopped_in_its_time_and_fenced_once_it_has() -> None:
    made, clock = broken(), Time()
    controller = Controller(made, made, clock, STOPPING)
    controller.tick(MEMBERS)
    clock.sleep(299)
    controller.tick(MEMBERS)
    assert made.instances["i-a1"] == "running"
    clock.sleep(1)
    assert ("node/a1", "its instance i-a1 is being stopped: it has not answered for too long") in controller.tick(MEMBERS).deeds
    assert controller.tick(MEMBERS).members["kv-0"] == Waiting("instance i-a1 of node a1 has stopped (now stopping)")
    assert (made.instances["i-a1"], taints(made)) == ("stopping", [])
    made.settle_attachments()
    controller.tick(MEMBERS)
    assert taints(made) == [OUT]
    assert made.calls.count("stop_instances") == 1


def test_a_refusal_to_stop_is_told_where_the_member_waits() -> None:
    made, clock = broken(), Time()
    clock.sleep(301)
    made.failing["stop_instances"] = errors.ProviderError("AWS refused ec2 stop_instances: UnauthorizedOperation")
    standing = Controller(made, made, clock, STOPPING).tick(MEMBERS)
    assert "UnauthorizedOperation" in str(standing.members["kv-0"])
    assert taints(made) == []


def test_ec2_that_cannot_be_asked_stops_everything_but_changes_nothing() -> None:
    made = broken("stopped")
    made.failing["describe_instances"] = errors.TransientError("away")
    standing = Controller(made, made, Time(), STOPPING).tick(MEMBERS)
    assert standing.members["kv-0"] == Waiting("this succeeds: away")
    assert taints(made) == []


def test_looking_fences_nothing_and_says_the_same() -> None:
    made = broken("stopped")
    standing: Standing = Controller(made, made, Time(), STOPPING).look(MEMBERS)
    assert standing.members["kv-0"] == Waiting("Kubernetes takes its Pods off node a1, whose instance i-a1 is stopped")
    assert not [call for call in made.calls if not call.startswith(("list", "describe"))]


@pytest.mark.parametrize("deed", ["taint", "clear", "stop"])
def test_a_node_that_has_changed_since_it_was_read_is_left_alone(deed: Any) -> None:
    made = broken("stopped")
    read_before = live.node(made.nodes["a1"])
    made.answers("a1", "True")
    outcome = fencing.carry_out(made, made, unreachable.Finding(read_before, deed, ""), NOW)
    assert outcome == Waiting("node a1 is read again: it has changed")
    assert (taints(made), made.instances["i-a1"]) == ([], "stopped")


# Two controllers, and a node that goes and comes back at any moment: every call of a port is a turn.

EVENTS = ("silent", "stopped", "started", "answers", "aws", "minutes")
WHOLE = 99  # more calls than a tick has
ANY = st.tuples(st.sampled_from("ab"), st.integers(1, 14) | st.just(WHOLE)) | st.tuples(st.sampled_from(EVENTS), st.just(1))
SLOW = st.tuples(st.sampled_from("ab"), st.integers(1, 14))
Turn = tuple[str, int]


def events(*names: str) -> list[Turn]:
    return [(name, 1) for name in names]


def back_meanwhile(slow: Turn) -> list[Turn]:
    """One has seen the node off and stops in mid-tick; when it goes on, the node has started anew."""
    return [*events("silent", "stopped"), slow, *events("started", "answers"), (slow[0], WHOLE)]


def hung(slow: Turn) -> list[Turn]:
    """It is stopped in its time; stopping takes a while."""
    return [*events("silent", "minutes"), (slow[0], WHOLE), (slow[0], WHOLE), slow, *events("aws"), (slow[0], WHOLE)]


PARTS = st.lists(ANY.map(lambda one: [one]) | st.builds(back_meanwhile, SLOW) | st.builds(hung, SLOW), min_size=1, max_size=6)


class Plant(World):
    """A node is up as a machine (its instance runs) and as a kubelet (it answers): only a machine that is off cannot write.

    *alive* says whether the Pod's process runs: from its start until its machine is off. It holds its breath while its node is silent.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alive = True
        self.guilty: list[str] = []

    def patch(self, *arguments: Any, **named: Any) -> Any:
        done = super().patch(*arguments, **named)
        if self.alive and OUT in taints(self):
            self.guilty.append("fenced while its process lives")
        return done

    def happen(self, event: str) -> None:
        state = self.instances["i-a1"]
        match event:
            case "silent":
                self.answers("a1")
            case "stopped" | "aws" if event == "stopped" or state == "stopping":
                self.instances["i-a1"], self.alive = "stopped", False
                self.answers("a1")
            case "started" if state == "stopped":
                self.instances["i-a1"] = "running"
            case "answers" if self.instances["i-a1"] == "running":
                self.answers("a1", "True")
                self.alive = OUT not in taints(self)  # what a node that has started anew is told to run


@given(parts=PARTS, policy=st.sampled_from([ENVIRONMENT, STOPPING]))
@settings(max_examples=300, deadline=None)
def test_no_interleaving_fences_a_node_whose_process_may_live(parts: list[list[Turn]], policy: Any) -> None:
    made, clock, scheduler = Plant(), Time(), Turns()
    for name in ("a1", "a2", "a3"):
        made.node(name)
    made.stateful_set("kv", 1)
    made.pod("kv-0", "a1", ready=False)
    made.pausing = scheduler.pause
    controllers = {who: Controller(made, made, clock, policy) for who in "ab"}
    running: dict[str, Task] = {}
    for who, count in itertools.chain.from_iterable(parts):
        if who == "minutes":
            clock.sleep(301)
        elif who in EVENTS:
            made.happen(who)
        else:
            if who not in running or running[who].over:
                clock.sleep(PAUSE + 1)
                running[who] = scheduler.begin(lambda who=who: controllers[who].tick(MEMBERS))  # type: ignore[misc]
            for _ in range(count):
                if not running[who].step():
                    break
    for task in running.values():
        while task.step():
            pass
    assert made.guilty == []
