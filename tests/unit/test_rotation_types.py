"""Secrets of the types beside Redis give way: whoever dies wherever, no member restarts into a refusal, and none is left that is let in."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from reconciler.members.live import Container, Live, Pod, Set
from reconciler.members.member import declared
from reconciler.model.desired import Desired
from reconciler.model.initialise import LOOK
from reconciler.model.origin import Revision
from reconciler.model.outcome import Done
from reconciler.model.service import Service
from stacks import mariadb, postgresql
from tests.unit.test_initialise import World, initialiser
from tests.unit.test_stacks import ENVIRONMENT, TYPES, changed, example, rendered

UUID = "532486c2-e6a0-11f1-8491-8e6fd701d987"


@dataclass
class Town:
    """Members by the generation of their Pods, and *taken*: the generations by whose secrets they come to each other."""

    service: Service
    world: World = field(default_factory=World)
    taken: set[int] = field(default_factory=lambda: {0})
    restarts: int = 0
    generation: dict[str, int] = field(default_factory=dict)
    client: int = 0  # the generation of the password that clients have to know

    def __post_init__(self) -> None:
        self.generation = dict.fromkeys(self.names, 0)

    @property
    def names(self) -> list[str]:
        return [f"{self.service.name}-{n}" for n in range(self.service.replicas)]

    def live(self) -> Live:
        set_ = Set(self.service.name, "default", 2, 2, self.service.replicas, "r1", "u1", rotation=1)
        return Live(pods={name: (self._pod(name),) for name in self.names}, sets={("default", self.service.name): set_})

    def _pod(self, name: str) -> Pod:
        container = (Container("it", ready=True, state="running", restarts=self.restarts),)
        revision = f"r{self.generation[name]}"
        return Pod(name, "default", name + revision, "n", "10.0.0.1", "Running", ready=True, revision=revision, containers=container)

    def renew_next(self) -> None:
        """Restart the next member with the next secrets, as a rollout does."""
        self.start(next(name for name in reversed(self.names) if not self.generation[name]), 1)

    def start(self, name: str, generation: int) -> None:
        assert generation in self.taken, f"{name} starts with secrets that nobody takes"
        self.generation[name] = generation

    def crash(self, name: str) -> None:
        """The container starts anew, with what its Pod was made of."""
        self.restarts += 1
        self.start(name, self.generation[name])

    def said(self, *, first: bool) -> dict[str, Any]:
        """What a look finds; *first* is the one before anybody restarts."""
        raise NotImplementedError

    def do(self, does: str) -> None:
        """What a step does to the members."""
        raise NotImplementedError

    def jobs_end(self, *, lost: bool) -> None:
        """All Jobs end; *lost*: whoever ran one is killed before or after it has done something, and nobody knows."""
        for one in [one for one in self.world.jobs.values() if "status" not in one]:
            does = one["metadata"]["annotations"]["reconciler/does"]
            if does == LOOK:
                self.world.end(json.dumps(self.said(first="reconciler/rotate" in one["metadata"]["labels"])))
                continue
            if not lost or self.restarts % 2:
                self.do(does)
            self.world.end("", "Failed" if lost else "Complete")

    def _former_members(self) -> bool:
        return not all(self.generation.values())


class Postgres(Town):
    """A role a generation for members; one password for the superuser, whose Patronis need none."""

    def said(self, *, first: bool) -> dict[str, Any]:
        entry = "ready" if 1 in self.taken else "late"
        if first:
            return {"members": dict.fromkeys(self.names, entry)}
        mark = postgresql.configuration(self.service)["postgresql"]["parameters"]["reconciler.configuration"]
        former = {"entry": entry, "former": 0 in self.taken or self.client == 0}
        well = {"timeline": 1, "pending": False, "rest": "closed", "login": "closed", "configuration": mark, "age": 60.0, **former}
        of = {name: {**well, "role": "replica", "state": "streaming"} for name in self.names}
        of[self.names[0]] |= {"role": "primary", "state": "running"}
        return {"members": of, "stored": True}

    def do(self, does: str) -> None:
        steps: dict[str, Callable[[], None]] = {
            "make the users of members that restart": lambda: self.taken.add(1),
            "let nobody in by the former passwords": self._retire,
        }
        steps[does]()

    def _retire(self) -> None:
        assert not self._former_members(), "somebody still comes by the former secrets"
        self.taken, self.client = {1}, 1


class MariaDb(Postgres):
    """Accounts that take one password or two, the same on every member."""

    def said(self, *, first: bool) -> dict[str, Any]:
        taken = "both" if self.taken == {0, 1} else "next" if 1 in self.taken else "former"
        well = {
            "login": "in",
            "stranger": "refused",
            "component": "Primary",
            "state": "Synced",
            "cluster": UUID,
            "size": self.service.replicas,
        }
        told = {"taken": dict.fromkeys(self.names, taken)}
        return told if first else {"members": dict.fromkeys(self.names, well), **told}

    def do(self, does: str) -> None:
        steps: dict[str, Callable[[], None]] = {
            "have accounts take the new passwords beside the former ones": lambda: self.taken.add(1),
            "let nobody in by the former passwords": self._retire,
        }
        steps[does]()


class Mongo(Town):
    """Members with the keys of their own generation and of the one before: the first is in every keyfile."""

    def start(self, name: str, generation: int) -> None:
        self.generation[name] = generation
        keys = [{max(one - 1, 0), one} for one in self.generation.values()]
        assert set.intersection(*keys) >= {0}, f"{name} has no key in common with the others, or with Jobs"

    def said(self, *, first: bool) -> dict[str, Any]:
        assert not first, "nobody has to be asked before members restart"
        entry = "out in" if self.client else "out out"
        states = ["PRIMARY", *["SECONDARY"] * (len(self.names) - 1)]
        members = [f"{state} {entry}" for state in states]
        return {
            "members": members,
            "set": [[n, 1] for n in range(len(members))],
            "others": [],
            "user": True,
            "features": self.service.version,
        }

    def do(self, does: str) -> None:
        assert does == "give the user admin the new password"
        self.client = 1


class ByLogin(Town):
    """Kafka and ZooKeeper: members come to each other by a password that stays; who may be the admin is *client*'s generation."""

    def start(self, name: str, generation: int) -> None:
        self.generation[name] = generation

    def said(self, *, first: bool) -> dict[str, Any]:
        assert not first
        is_taken = self.client or self.service.type == "zookeeper"  # whose members read it when they start
        access = dict.fromkeys(self.names, "closed" if is_taken else "wrong")
        return access if self.service.type == "zookeeper" else {"access": access, "finalised": f"{self.service.version}-IV1"}

    def do(self, does: str) -> None:
        assert does == "give the user admin the password"
        self.client = 1


AUTH = {"auth": True}
CASES = {
    "postgresql": (Postgres, {}, ["orders-auth"], ["orders-auth-1"]),
    "mariadb": (MariaDb, {}, ["orders-auth", "orders-cluster"], ["orders-auth-1", "orders-cluster"]),
    "mongodb": (
        Mongo,
        {},
        ["documents-auth", "documents-keyfile"],
        ["documents-auth-1", "documents-keyfile", "documents-keyfile-1"],
    ),
    "kafka": (ByLogin, AUTH, ["events-auth", "events-internal"], ["events-auth-1", "events-internal"]),
    "zookeeper": (ByLogin, AUTH, ["coordination-auth", "coordination-internal"], ["coordination-auth-1", "coordination-internal"]),
}


def desired(service: Service) -> Desired:
    return Desired(ENVIRONMENT, Revision("2d0f1e3", "", "lab"), (service,), {one.id: one for one in rendered(service).values()})


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("type_", CASES)
def test_whoever_dies_wherever_no_member_restarts_into_a_refusal(type_: str, seed: int) -> None:
    """A process dies after any step and another goes on; containers start anew, and Jobs are lost, at any moment."""
    kind, options, before, after = CASES[type_]
    begun = changed(example(type_), options=options, replicas=3)
    later = desired(changed(begun, rotation=1))
    members = declared(later.services, ENVIRONMENT, TYPES)
    draw, town, asking, accidents = random.Random(seed), kind(later.services[0]), None, 4
    initialiser(town.world).bind(desired(begun))
    assert sorted(town.world.secrets) == before
    name = begun.name
    for turn in range(300):
        if asking is None or draw.random() < 0.3:
            asking = initialiser(town.world)
            asking.clock.sleep(60.0 * turn)
        asking.clock.sleep(60.0)
        asking.bind(later)
        told = asking.rotations(later, members, town.live())
        if isinstance(told.get(name, Done()), Done) and town._former_members():
            town.renew_next()
        elif accidents and draw.random() < 0.3:
            accidents -= 1
            town.crash(draw.choice(town.names))
        if asking.tick(later, members, town.live())[name] == Done():
            break
        town.jobs_end(lost=bool(accidents) and draw.random() < 0.2)
    assert sorted(town.world.secrets) == after
    assert set(town.generation.values()) == {1}
    assert town.client == 1 or type_ == "zookeeper"


@pytest.mark.parametrize("type_", CASES)
def test_secrets_of_two_generations_are_others_and_the_former_may_be_gone(type_: str) -> None:
    service = changed(example(type_), options=CASES[type_][1], rotation=3)
    (set_,) = [one for id, one in rendered(service).items() if "/StatefulSet/" in id]
    spec: Any = set_.fields["spec"]
    (volume,) = [one for one in spec["template"]["spec"]["volumes"] if one["name"] == "secrets"]
    sources = [one["secret"] for one in volume["projected"]["sources"]]
    made = {one.name for one in TYPES[type_].secrets(service, ENVIRONMENT)}
    assert {one["name"] for one in sources if not one.get("optional")} <= made
    rotation = TYPES[type_].rotation(service, ENVIRONMENT)
    assert rotation
    assert rotation.former
    assert not made & set(rotation.former)
    assert {one["name"] for one in sources if one.get("optional")} <= set(rotation.former)


@pytest.mark.parametrize("type_", CASES)
def test_a_service_that_was_never_rotated_has_nothing_of_a_generation_before(type_: str) -> None:
    service = changed(example(type_), options=CASES[type_][1])
    assert not any("former" in str(one.fields) and "/StatefulSet/" in id for id, one in rendered(service).items())


def test_own_passwords_stay_whose_they_are() -> None:
    own = {"password": {"name": "mine", "key": "it"}}
    assert all(
        TYPES[type_].rotation(changed(example(type_), options={**AUTH, **own}, rotation=1), ENVIRONMENT) is None
        for type_ in ("kafka", "zookeeper")
    )
    of_postgresql = postgresql._former(changed(example("postgresql"), options=own, rotation=1))
    assert list(of_postgresql) == ["former-rest"]
    assert list(mariadb._former(changed(example("mariadb"), options=own, rotation=1))) == ["former-monitor", "former-sst"]
