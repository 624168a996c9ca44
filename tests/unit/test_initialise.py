"""How a service is initialised: what is asked and done next, from nothing but the Jobs that there are."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from providers.bindings import Bindings
from reconciler import errors
from reconciler.members.initial import job
from reconciler.members.initial.controller import Initialiser
from reconciler.members.initial.decide import LONGEST, Verdict, decide
from reconciler.members.initial.job import Turn
from reconciler.members.live import Live, Pod, Set
from reconciler.members.member import declared
from reconciler.model.desired import Desired
from reconciler.model.initialise import LOOK, Generated, Initialisation, Next, Said, Script
from reconciler.model.origin import Revision
from reconciler.model.outcome import Done, Failed, Waiting
from reconciler.ports import ObjectKind, Payload
from tests.unit.test_stacks import ENVIRONMENT, TYPES, changed, example, rendered

NOW = 1_760_000_000.0
STEPS = {"set": "initiate the set", "user": "make the user"}


def following(said: Said) -> Next:
    """Two steps, and something that only time mends."""
    for key, does in STEPS.items():
        if not said.get(key):
            return Script(does, "true")
    return None if said.get("primary") else "there is a primary"


WANTED = Initialisation(Script(LOOK, "look"), following)


def turn(number: int, does: str = LOOK, said: dict[str, Any] | None = None, **others: Any) -> Turn:
    known: dict[str, Any] = {"state": "done", "situation": "now", "ended": NOW, **others}
    return Turn(f"kv-init-{known['situation']}-{number}", "default", "kv", number=number, does=does, said=said, **known)


def after(*turns: Turn, now: float = NOW) -> Verdict:
    return decide(WANTED, "now", turns, now)


def test_first_the_application_is_asked() -> None:
    verdict = after()
    assert (verdict.start, verdict.number) == (WANTED.look, 0)
    assert verdict.outcome == Waiting("its application says how it is")


def test_what_it_lacks_is_done_and_then_it_is_asked_again() -> None:
    asked = turn(0, said={})
    assert (step := after(asked).start)
    assert (step.does, after(asked).number) == ("initiate the set", 1)
    again = after(asked, turn(1, "initiate the set"))
    assert (again.start, again.number) == (WANTED.look, 2)
    onward = after(asked, turn(1, "initiate the set"), turn(2, said={"set": True}))
    assert onward.start is not None
    assert onward.start.does == "make the user"


@pytest.mark.parametrize("does", [LOOK, "initiate the set"])
def test_never_two_at_once_also_of_another_situation(does: str) -> None:
    verdict = after(turn(3, does, state="running", situation="former"))
    assert verdict.start is None
    assert isinstance(verdict.outcome, Waiting)
    assert does in verdict.outcome.until


def test_the_application_itself_says_that_it_is_initialised() -> None:
    whole = turn(4, said={"set": True, "user": True, "primary": True})
    verdict = after(turn(3, "make the user"), whole)
    assert verdict == Verdict(Done(), outdated=(turn(3, "make the user"),), answered=whole.ended)


def test_a_step_that_failed_counts_by_the_look_after_it() -> None:
    failed = turn(1, "initiate the set", state="failed", message="already initialized")
    early = after(turn(0, said={}), failed)
    assert (early.start, early.outcome) == (None, Waiting("initiate the set succeeds: already initialized"))
    assert after(turn(0, said={}), failed, now=NOW + LONGEST).start == WANTED.look
    assert after(turn(0, said={}), failed, turn(2, said={"set": True, "user": True, "primary": True})).outcome == Done()


def test_a_step_that_brings_nothing_is_taken_again_later_and_later() -> None:
    turns = [turn(0, said={}), turn(1, "initiate the set"), turn(2, said={}), turn(3, "initiate the set"), turn(4, said={})]
    assert after(*turns).start is None
    assert "again" in str(after(*turns).outcome)
    assert (step := after(*turns, now=NOW + 8).start)
    assert step.does == "initiate the set"


def test_what_only_time_mends_is_looked_at_again_later_and_later() -> None:
    said = {"set": True, "user": True}
    assert after(turn(0, said=said), now=NOW + 1).start is None
    assert after(turn(0, said=said), now=NOW + 2).start == WANTED.look
    assert after(turn(0, said=said)).outcome == Waiting("there is a primary")
    assert after(turn(9, said=said), now=NOW + LONGEST - 1).start is None
    assert after(turn(9, said=said), now=NOW + LONGEST).start == WANTED.look


def test_an_answer_that_is_none_is_asked_for_again() -> None:
    assert after(turn(0, said=None, message="bash: mongosh: not found"), now=NOW + 2).start == WANTED.look


def test_an_answer_that_its_type_cannot_read_breaks_nothing() -> None:
    odd = Initialisation(WANTED.look, lambda said: str(said["there"]["is"]["none"]))
    verdict = decide(odd, "now", [turn(0, said={"there": 1})], NOW + 2)
    assert (verdict.start, verdict.number) == (WANTED.look, 1)
    assert "cannot be read" in str(verdict.outcome)


def test_another_situation_begins_anew_and_clears_up() -> None:
    former = turn(7, said={"set": True, "user": True, "primary": True}, situation="former")
    verdict = after(former)
    assert (verdict.start, verdict.number, verdict.outdated) == (WANTED.look, 0, (former,))


# --- the controller


@dataclass
class Time:
    seconds: float = NOW

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class World:
    """Jobs and Secrets. A Job ends with *answers* as soon as it is asked about, unless it is to go on."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    answer: str = ""
    refusing: bool = False

    def list(self, kind: ObjectKind, *, namespace: str = "", selector: str = "") -> Any:
        if self.refusing:
            raise errors.TransientError("the API server is away")
        label = selector.rpartition(",")[2]
        jobs = [one for one in self.jobs.values() if label in one["metadata"]["labels"]]
        return iter(jobs if kind.kind == "Job" else [self._pod(one) for one in jobs])

    def names(self, kind: ObjectKind, *, namespace: str = "") -> Any:
        return iter(self.secrets)

    def create(self, kind: ObjectKind, body: Payload) -> Payload | None:
        there = self.jobs if kind.kind == "Job" else self.secrets
        if body["metadata"]["name"] in there:
            return None
        there[body["metadata"]["name"]] = dict(body)
        return body

    def delete(self, kind: ObjectKind, name: str, *, namespace: str = "", uid: str = "", at_once: bool = False) -> bool:
        return (self.jobs if kind.kind == "Job" else self.secrets).pop(name, None) is not None

    def end(self, answer: str, how: str = "Complete") -> None:
        for one in self.jobs.values():
            if "status" not in one:
                one["status"] = {"conditions": [{"type": how, "status": "True", "lastTransitionTime": "2025-10-09T08:53:20Z"}]}
                one["said"] = answer

    def _pod(self, one: dict[str, Any]) -> dict[str, Any]:
        ended = {"state": {"terminated": {"message": one.get("said", "")}}}
        return {"metadata": {"labels": {"batch.kubernetes.io/job-name": one["metadata"]["name"]}}, "status": {"containerStatuses": [ended]}}


SERVICE = changed(example("redis"), replicas=2)
DESIRED = Desired(ENVIRONMENT, Revision("1c9e0d2", "", "lab"), (SERVICE,), {one.id: one for one in rendered(SERVICE).values()})
MEMBERS = declared(DESIRED.services, ENVIRONMENT, TYPES)
SETS = {("default", "cache"): Set("cache", "default", 1, 1, 2, "r1", "u1")}
PODS = {name: (Pod(name, "default", name, "n", "10.0.0.1", "Running", ready=True, revision="r1"),) for name in ("cache-0", "cache-1")}
LIVE = Live(pods=PODS, sets=SETS)
CLOSED = json.dumps({"cluster": {}, "access": {"cache-0": "closed", "cache-1": "closed"}})


def initialiser(world: World) -> Initialiser:
    return Initialiser(world, Bindings(world, lambda: world), Time(), TYPES)  # type: ignore[arg-type]


def test_a_service_is_initialised_once_its_members_have_said_so() -> None:
    world = World()
    asking = initialiser(world)
    assert isinstance(asking.tick(DESIRED, MEMBERS, LIVE)["cache"], Waiting)
    world.end(CLOSED)
    assert asking.tick(DESIRED, MEMBERS, LIVE) == {"cache": Done()}
    world.refusing = True  # it is not asked again
    assert asking.tick(DESIRED, MEMBERS, LIVE) == {"cache": Done()}


def test_another_process_goes_on_where_the_first_one_died() -> None:
    world = World()
    initialiser(world).tick(DESIRED, MEMBERS, LIVE)
    initialiser(world).tick(DESIRED, MEMBERS, LIVE)
    assert len(world.jobs) == 1
    world.end(CLOSED)
    assert initialiser(world).look(DESIRED, MEMBERS, LIVE)[0] == {"cache": Done()}
    assert initialiser(world).tick(DESIRED, MEMBERS, LIVE) == {"cache": Done()}
    assert len(world.jobs) == 1


def test_a_member_that_lets_anybody_in_keeps_the_service_from_being_ready() -> None:
    world = World()
    asking = initialiser(world)
    asking.tick(DESIRED, MEMBERS, LIVE)
    world.end(json.dumps({"access": {"cache-0": "closed", "cache-1": "open"}}))
    assert asking.tick(DESIRED, MEMBERS, LIVE) == {"cache": Waiting("cache-1 refuses who has no password")}


def test_nothing_is_asked_before_all_members_run_what_is_declared() -> None:
    world = World()
    old = {**PODS, "cache-1": (Pod("cache-1", "default", "b", "n", "10.0.0.1", "Running", revision="r0"),)}
    told = initialiser(world).tick(DESIRED, MEMBERS, Live(pods=old, sets=SETS))
    assert told == {"cache": Waiting("cache-1 runs: only then it is initialised")}
    assert not world.jobs


def test_a_moved_pod_is_no_reason_to_ask_again_another_revision_is() -> None:
    world = World()
    asking = initialiser(world)
    asking.tick(DESIRED, MEMBERS, LIVE)
    world.end(CLOSED)
    asking.tick(DESIRED, MEMBERS, LIVE)
    elsewhere = {**PODS, "cache-1": (Pod("cache-1", "default", "other", "m", "10.0.0.2", "Running", revision="r1"),)}
    assert asking.tick(DESIRED, MEMBERS, Live(pods=elsewhere, sets=SETS)) == {"cache": Done()}
    newer = {name: (Pod(name, "default", name, "n", "10.0.0.1", "Running", revision="r2"),) for name in PODS}
    told = asking.tick(DESIRED, MEMBERS, Live(pods=newer, sets={("default", "cache"): Set("cache", "default", 2, 2, 2, "r2", "u1")}))
    assert isinstance(told["cache"], Waiting)


def test_a_world_that_cannot_be_read_is_waited_for() -> None:
    told = initialiser(World(refusing=True)).tick(DESIRED, MEMBERS, LIVE)
    assert told == {"cache": Waiting("this succeeds: the API server is away")}


def test_a_stopped_service_is_asked_nothing() -> None:
    desired = Desired(ENVIRONMENT, DESIRED.revision, (changed(SERVICE, stopped=True),))
    assert initialiser(World()).tick(desired, MEMBERS, LIVE) == {}


def test_the_job_is_as_the_members_are_but_for_what_is_one_member_s() -> None:
    world = World()
    initialiser(world).tick(DESIRED, MEMBERS, LIVE)
    (body,) = world.jobs.values()
    assert body["metadata"]["ownerReferences"] == [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "cache", "uid": "u1"}]
    pod = body["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "redis:8.0"
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]} == {"config", "secrets"}
    assert "env" not in container or not container["env"]
    assert "reconciler/set" not in body["spec"]["template"]["metadata"]["labels"]


def test_a_secret_is_made_once_and_nobody_makes_it_again() -> None:
    world = World()
    assert initialiser(world).bind(DESIRED) == {}
    first = world.secrets["cache-auth"]
    assert initialiser(world).bind(DESIRED) == {}
    assert world.secrets["cache-auth"] is first
    assert first["immutable"] is True
    assert Bindings(world, lambda: world).make("default", {}, Generated("cache-auth", {"password": 32})) is False  # type: ignore[arg-type]
    other = World()
    initialiser(other).bind(DESIRED)
    assert other.secrets["cache-auth"]["data"] != first["data"]


def test_the_situation_is_of_members_revisions_and_the_question() -> None:
    def of(names: list[str], revision: str = "r1", text: str = "look") -> str:
        return job.situation(SERVICE, Script(LOOK, text), [Set("cache", "default", 1, 1, 2, revision, "u1")], names)

    assert of(["a", "b"]) == of(["b", "a"])
    assert len({of(["a", "b"]), of(["a"]), of(["a", "b"], "r2"), of(["a", "b"], text="other")}) == 4


def test_a_refused_secret_is_told() -> None:
    class Refusing(World):
        def create(self, kind: ObjectKind, body: Payload) -> Payload | None:
            raise errors.ProviderError("secrets is forbidden")

    assert initialiser(Refusing()).bind(DESIRED) == {"cache": Failed("secrets is forbidden", retryable=True)}
