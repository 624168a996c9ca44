"""Generated secrets give way to the next generation: nobody restarts into a refusal, and the former ones go once all refuse them."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace

import pytest

from reconciler.members.initial.controller import Initialiser
from reconciler.members.live import Container, Live, Set
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.initialise import LOOK
from reconciler.model.origin import Revision
from reconciler.model.outcome import Done, Waiting
from reconciler.render import text
from reconciler.resources import kubernetes, rotation
from stacks import redis
from tests.memory_world import MemoryWorld, desired, loaded
from tests.unit.test_initialise import CLOSED, DESIRED, LIVE, MEMBERS, PODS, SERVICE, World, initialiser
from tests.unit.test_stacks import ENVIRONMENT, changed, rendered

TURNED = changed(SERVICE, rotation=1)
LATER = Desired(ENVIRONMENT, Revision("2d0f1e3", "", "lab"), (TURNED,), {one.id: one for one in rendered(TURNED).values()})
SETS = {("default", "cache"): Set("cache", "default", 2, 2, 2, "r2", "u1", rotation=1)}
OLD = Live(pods=PODS, sets=SETS)  # both run r1, r2 is declared
NEW = Live(pods={name: (replace(pods[0], revision="r2"),) for name, pods in PODS.items()}, sets=SETS)
READY, LATE = (json.dumps(dict.fromkeys(("cache-0", "cache-1"), word)) for word in ("ready", "late"))
GIVE = "give the members the new password beside the former one"
KV = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: kv}
spec:
  type: TYPE
  volumes: {data: {size: 10Gi}}
  rotation: NUMBER
  options: OPTIONS
"""


def kv(number: int | str, type_: str = "redis", options: str = "{auth: true}") -> str:
    return KV.replace("TYPE", type_).replace("NUMBER", str(number)).replace("OPTIONS", options)


def holds(asking: Initialiser, live: Live = OLD) -> bool:
    """Whether nobody may restart yet."""
    return not isinstance(asking.rotations(LATER, MEMBERS, live)["cache"], Done)


def test_nobody_restarts_before_all_take_the_next_secrets_beside_the_former_ones() -> None:
    world = World()
    asking = initialiser(world)
    assert holds(asking)
    world.end(LATE)
    assert holds(asking)
    (step,) = [one for one in world.jobs.values() if "status" not in one]
    assert step["metadata"]["annotations"]["reconciler/does"] == GIVE
    world.end("")
    assert holds(asking)
    world.end(READY)
    assert not holds(asking)


def test_what_was_read_before_anybody_was_about_to_restart_lets_nobody_restart() -> None:
    asking = initialiser(World())
    assert asking.rotations(LATER, MEMBERS, NEW) == {"cache": None}
    assert asking.rotations(DESIRED, MEMBERS, LIVE) == {}


def test_a_container_that_starts_anew_is_asked_again() -> None:
    world = World()
    asking = initialiser(world)
    holds(asking)
    world.end(READY)
    assert not holds(asking)
    container = Container("redis", ready=True, state="running", restarts=1)
    assert holds(asking, replace(OLD, pods={**PODS, "cache-1": (replace(PODS["cache-1"][0], containers=(container,)),)}))


def test_former_secrets_go_once_each_member_refuses_them_and_the_next_stay() -> None:
    world = World()
    asking = initialiser(world)
    asking.bind(DESIRED)
    asking.bind(LATER)
    assert sorted(world.secrets) == ["cache-auth", "cache-auth-1"]
    asking.tick(LATER, MEMBERS, NEW)
    world.end(json.dumps({"cluster": {}, "access": {"cache-0": "closed", "cache-1": "former"}}))
    assert asking.tick(LATER, MEMBERS, NEW) == {"cache": Waiting("cache-1 refuses the former password")}
    assert sorted(world.secrets) == ["cache-auth", "cache-auth-1"]
    world.jobs.clear()
    asking.tick(LATER, MEMBERS, NEW)
    world.end(CLOSED)
    assert asking.look(LATER, MEMBERS, NEW)[0] == {"cache": Done()}
    assert "cache-auth" in world.secrets, "who only looks removes nothing"
    assert asking.tick(LATER, MEMBERS, NEW) == {"cache": Done()}
    assert sorted(world.secrets) == ["cache-auth-1"]


def test_before_the_statefulset_has_the_declared_secrets_nothing_is_asked_and_none_goes() -> None:
    """Members are tended while the engine is at work: what its StatefulSet still is says of nobody that he refuses anything."""
    world = World()
    asking = initialiser(world)
    asking.bind(DESIRED)
    asking.bind(LATER)
    asking.tick(DESIRED, MEMBERS, LIVE)
    world.end(CLOSED)
    assert asking.tick(DESIRED, MEMBERS, LIVE) == {"cache": Done()}
    assert asking.tick(LATER, MEMBERS, LIVE) == {
        "cache": Waiting("its StatefulSet has the secrets that are declared: only then it is initialised")
    }
    assert asking.rotations(LATER, MEMBERS, LIVE) == {"cache": None}
    assert sorted(world.secrets) == ["cache-auth", "cache-auth-1"]


@dataclass
class Town:
    """Two members as the generations that they take, and Jobs that do to them what the scripts do."""

    world: World = field(default_factory=World)
    taken: dict[str, set[int]] = field(default_factory=lambda: {"cache-0": {0}, "cache-1": {0}})
    revision: dict[str, str] = field(default_factory=lambda: dict.fromkeys(("cache-0", "cache-1"), "r1"))
    restarts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("cache-0", "cache-1"), 0))

    def live(self) -> Live:
        pods = {name: (self._pod(name),) for name in self.taken}
        return Live(pods=pods, sets=SETS)

    def _pod(self, name: str):  # type: ignore[no-untyped-def]
        container = Container("redis", ready=True, state="running", restarts=self.restarts[name])
        return replace(PODS[name][0], uid=name + self.revision[name], revision=self.revision[name], containers=(container,))

    def renew_next(self) -> None:
        """Restart the next member with the next secrets, as a rollout does: last first."""
        name = next(name for name in reversed(self.taken) if self.revision[name] == "r1")
        assert all(1 in known for known in self.taken.values()), f"{name} restarts though another does not take what it will show"
        self.taken[name], self.revision[name] = {1}, "r2"

    def crash(self, name: str) -> None:
        """The container starts anew, and knows what its Pod was made with."""
        self.restarts[name] += 1
        self.taken[name] = {0} if self.revision[name] == "r1" else {1}

    def jobs_end(self) -> None:
        for one in [one for one in self.world.jobs.values() if "status" not in one]:
            does = one["metadata"]["annotations"]["reconciler/does"]
            assert does in {LOOK, GIVE}
            if does == GIVE:
                self.taken = {name: known | ({1} if self.revision[name] == "r1" else set()) for name, known in self.taken.items()}
            self.world.end(self._answer(one["metadata"]["labels"]) if does == LOOK else "")

    def _answer(self, labels: dict[str, str]) -> str:
        if "reconciler/initialise" in labels:
            access = {name: "former" if 0 in known else "closed" for name, known in self.taken.items()}
            return json.dumps({"cluster": {}, "access": access})
        return json.dumps({name: "ready" if 1 in known else "late" for name, known in self.taken.items()})


@pytest.mark.parametrize("seed", range(30))
def test_whoever_dies_wherever_no_member_restarts_into_a_refusal(seed: int) -> None:
    """A process dies after any step and another goes on; members start anew at any moment, and forget what they were told."""
    draw, town, asking, crashes = random.Random(seed), Town(), None, 3
    initialiser(town.world).bind(DESIRED)
    for turn in range(300):
        if asking is None or draw.random() < 0.3:
            asking = initialiser(town.world)
            asking.clock.sleep(60.0 * turn)
        asking.clock.sleep(60.0)
        asking.bind(LATER)
        outcome = asking.rotations(LATER, MEMBERS, town.live())["cache"]
        if isinstance(outcome, Done):
            town.renew_next()
        elif crashes and draw.random() < 0.3:
            crashes -= 1
            town.crash(draw.choice(sorted(town.taken)))
        asking.tick(LATER, MEMBERS, town.live())
        if sorted(town.world.secrets) == ["cache-auth-1"]:
            break
        town.jobs_end()
    assert sorted(town.world.secrets) == ["cache-auth-1"], "it never ends"
    assert town.taken == {"cache-0": {1}, "cache-1": {1}}


def test_the_plan_says_that_members_restart_and_tells_no_secret() -> None:
    world = MemoryWorld()
    world.converge(kv(0))
    (change,) = [one for one in world.plan(desired(kv(1))).plan.acting if one.id.name.startswith("StatefulSet/")]
    assert "# restarts kv-2, kv-1, kv-0" in text.headline(change)
    told = "\n".join(text.fields(change))
    assert "kv-auth" in told
    assert "kv-auth-1" in told


@pytest.mark.parametrize(("before", "after"), [(0, 2), (1, 0), (2, 1)])
def test_generations_follow_one_another_and_never_go_back(before: int, after: int) -> None:
    world = MemoryWorld()
    world.converge(kv(before))
    refused = [one.reason for one in world.plan(desired(kv(after))).plan if one.action == "refuse"]
    assert any("secrets are rotated one generation at a time, and never back" in reason for reason in refused), refused


def test_a_service_may_begin_with_any_generation() -> None:
    assert MemoryWorld().converge(kv(7)).ok


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (kv(1, options="{}"), "this redis service has no secrets that can be rotated yet"),
        (kv(1, options="{auth: true, password: {name: mine, key: it}}"), "this redis service has no secrets that can be rotated yet"),
        (kv(1, "mongodb", "{role: configServer}"), "this mongodb service has no secrets that can be rotated yet"),
        (kv(1, "kafka", "{}"), "this kafka service has no secrets that can be rotated yet"),
        (kv(1, "consul", "{}"), "this consul service has no secrets that can be rotated yet"),
        (kv(1, "zookeeper", "{}"), "this zookeeper service has no secrets that can be rotated yet"),
        (kv(-1), "rotation"),
        (kv("often"), "rotation"),
    ],
)
def test_what_cannot_be_rotated_is_refused_with_its_place(document: str, where: str) -> None:
    faults = [str(fault) for fault in loaded(document).faults]
    assert any(where in one and "services.yaml:7:" in one for one in faults), faults


def test_the_next_generation_waits_until_all_members_have_the_last_one() -> None:
    """Members of three do not all understand each other. Before the first there is none, so whoever is behind is so for another reason."""
    town = MemoryWorld()
    sets = kubernetes.KINDS["StatefulSet"]

    def would(number: int, **status: int) -> Change:
        (found,) = town.cluster.list(sets)
        town.cluster.put(sets, {**found, "status": {**found["status"], "observedGeneration": 99, **status}})
        return next(one for one in town.plan(desired(kv(number))).plan.changes if "StatefulSet/" in one.id.name)

    assert town.converge(kv(0)).ok
    assert would(1, updatedReplicas=0).action == "update"
    assert town.converge(kv(1)).ok
    change = would(2, updatedReplicas=0)
    assert (change.action, change.reason) == (
        "hold",
        "rotation 1 -> 2 has to wait: 3 members are still to restart with the secrets of 1",
    )
    assert would(2, updatedReplicas=3).action == "update"


def test_names_tell_generations_apart() -> None:
    assert [rotation.name("kv-auth", number) for number in (0, 1, 2)] == ["kv-auth", "kv-auth-1", "kv-auth-2"]
    assert rotation.former("kv-auth", 2) == ("kv-auth-1", "kv-auth")
    assert rotation.former("kv-auth", 0) == ()


def test_a_service_that_was_never_rotated_is_as_it_was() -> None:
    """Another template would restart every Redis that has a password."""
    (set_,) = [one for id, one in rendered(SERVICE).items() if "StatefulSet" in id]
    (volume,) = [one for one in set_.fields["spec"]["template"]["spec"]["volumes"] if one["name"] == "secrets"]  # type: ignore[index, call-overload]
    assert volume["projected"]["sources"] == [{"secret": {"name": "cache-auth", "items": [{"key": "password", "path": "password"}]}}]
    assert redis.rotate(SERVICE, ENVIRONMENT) is not None
