"""MongoDB: what is done next, from whatever its members say; its configuration, its secrets and its probe."""

from __future__ import annotations

import base64
import itertools
import random
import socket
import struct
import subprocess
import threading
from dataclasses import dataclass, field
from typing import Any

import bson
import pytest
from ruamel.yaml import YAML

from reconciler.model.desired import Desired
from reconciler.model.initialise import Next, Script
from reconciler.model.origin import Revision
from reconciler.model.service import Service
from stacks import mongodb
from tests.unit.test_initialise import World, initialiser
from tests.unit.test_stacks import ENVIRONMENT, changed, example, rendered, template

EXAMPLE = example("mongodb")
NEW, PRIMARY, SECONDARY = "new out out", "PRIMARY out out", "SECONDARY out out"
FIRST, OTHER = "PRIMARY out in", "SECONDARY out in"
VOTING = [[0, 1], [1, 1], [2, 1]]


def following(said: dict[str, Any], replicas: int) -> Next:
    return mongodb.initialise(changed(EXAMPLE, replicas=replicas), ENVIRONMENT).next(said)


def words(wanted: Next) -> str:
    return wanted.does if isinstance(wanted, Script) else str(wanted)


TABLE: list[tuple[list[str], dict[str, Any], str]] = [
    ([NEW, "silent", NEW], {}, "documents-1 answers"),
    ([NEW, "foreign out out", NEW], {}, "documents-1 takes the keyfile"),
    (["new in out", NEW, NEW], {}, "documents-0 refuses strangers"),
    ([NEW, NEW, NEW], {}, "initiate the set"),
    ([SECONDARY, NEW, NEW], {}, "the set has a primary"),  # killed after initiate
    ([SECONDARY, SECONDARY, SECONDARY], {}, "the set has a primary"),
    ([PRIMARY, SECONDARY, SECONDARY], {"set": VOTING}, "make the user admin"),
    ([FIRST, OTHER, SECONDARY], {"set": VOTING, "user": True}, "documents-2 takes the password of the user admin"),  # killed after user
    ([OTHER, FIRST, "STARTUP2 out in"], {"set": VOTING, "user": True}, "documents-2 is primary or secondary (STARTUP2)"),
    ([OTHER, FIRST, "SECONDARY in in"], {"set": VOTING, "user": True}, "documents-2 refuses strangers"),
    ([OTHER, FIRST, "SECONDARY silent in"], {"set": VOTING, "user": True}, "documents-2 refuses strangers"),
    ([FIRST, OTHER, OTHER], {"set": VOTING, "user": True}, "None"),
    ([FIRST, OTHER, NEW], {"set": VOTING[:2], "user": True}, "add documents-2 to the set"),
    ([FIRST, OTHER, "STARTUP2 out out"], {"set": [*VOTING[:2], [2, 0]], "user": True}, "documents-2 has copied the set's data (STARTUP2)"),
    ([FIRST, OTHER, OTHER], {"set": [*VOTING[:2], [2, 0]], "user": True}, "give documents-2 its vote"),
    ([FIRST], {"set": VOTING[:1], "others": ["b:27017", "c:27017"], "user": True}, "take b:27017 out of the set"),
    ([OTHER], {"user": True}, "the set has a primary"),  # a majority was taken away at once
    ([FIRST, OTHER, OTHER], {"set": VOTING, "user": True, "features": "7.0"}, "set the feature compatibility version 8.0"),
    ([FIRST, OTHER, OTHER], {"set": VOTING, "user": True, "features": "8.2"}, "None"),  # somebody else's: nobody goes back
    ([FIRST, OTHER, OTHER], {"set": VOTING, "user": True, "features": ""}, "it says which version's features it uses"),
    ([FIRST, OTHER, "silent"], {"set": VOTING, "user": True, "features": "7.0"}, "documents-2 answers"),  # until all of them work
    ([FIRST, OTHER, "STARTUP2 out in"], {"set": VOTING, "user": True, "features": "7.0"}, "documents-2 is primary or secondary (STARTUP2)"),
]


@pytest.mark.parametrize(("members", "others", "then"), TABLE, ids=[f"{one[2]} {n}" for n, one in enumerate(TABLE)])
def test_what_is_lacking_follows_from_what_the_members_say(members: list[str], others: dict[str, Any], then: str) -> None:
    """F10, F11: no step is remembered, so it does not matter after which one somebody died."""
    assert words(following({"members": members, "set": [], "others": [], "user": False, "features": "8.0", **others}, len(members))) == then


@dataclass
class Town:
    """A set: who is in it with how many votes, who has its data, and whether there is a user."""

    votes: dict[str, int] = field(default_factory=dict)
    copied: set[str] = field(default_factory=set)
    user: bool = False
    features: str = "7.0"  # of a set that was begun by an earlier version

    def look(self, hosts: list[str]) -> dict[str, Any]:
        def of(host: str) -> str:
            state = "new" if host not in self.votes else "STARTUP2" if host not in self.copied else "SECONDARY"
            return f"{'PRIMARY' if host == self.primary else state} out {'in' if self.user and host in self.copied else 'out'}"

        inside = [[hosts.index(host), vote] for host, vote in self.votes.items() if host in hosts]
        others = [host for host in self.votes if host not in hosts]
        return {"members": [of(host) for host in hosts], "set": inside, "others": others, "user": self.user, "features": self.features}

    @property
    def primary(self) -> str:
        return next((host for host, vote in self.votes.items() if vote and host in self.copied), "")

    def do(self, does: str, hosts: list[str]) -> None:
        """Safe to repeat, as the scripts are."""
        before, named = sum(self.votes.values()), next((host for host in [*hosts, *self.votes] if host.partition(".")[0] in does), "")
        match does.split():
            case ["initiate", *_]:
                self.votes = self.votes or {host: int(n < mongodb.VOTERS) for n, host in enumerate(hosts)}
                self.copied |= set(hosts)
                return
            case ["make", *_]:
                self.user = True
            case ["set", *_, version]:
                self.features = version
            case ["add", *_]:
                self.votes.setdefault(named, 0)
            case ["give", *_]:
                assert named in self.copied
                self.votes[named] = 1
            case ["take", _, "out", *_]:
                self.votes.pop(named, None)
                self.copied.discard(named)
            case ["take", *_]:
                self.votes[named] = 0
            case _:
                raise AssertionError(does)
        assert abs(sum(self.votes.values()) - before) <= 1, f"{does}: more than one voter changed"


@pytest.mark.parametrize("seed", range(40))
def test_a_set_is_as_declared_in_the_end_whoever_is_killed_when(seed: int) -> None:
    """Fault e: steps that are killed before or after they did something, taken twice, or followed by another spec half-way."""
    chance, town = random.Random(seed), Town()
    for replicas in (chance.choice([1, 3, 5]), chance.choice([3, 7, 9]), chance.choice([3, 5]), 3):
        service = changed(EXAMPLE, replicas=replicas)
        hosts = [f"documents-{n}.db.internal:27017" for n in range(replicas)]
        initialisation = mongodb.initialise(service, ENVIRONMENT)
        for turn in itertools.count():
            assert turn < 200, town
            wanted = initialisation.next(town.look(hosts))
            if wanted is None:
                break
            if isinstance(wanted, Script):
                for _ in range(chance.choice([0, 1, 1, 2])):
                    town.do(wanted.does, hosts)
            elif chance.random() < 0.5:
                town.copied |= set(town.votes)
        assert town.votes == dict.fromkeys(hosts[:7], 1) | dict.fromkeys(hosts[7:], 0)
        assert town.features == "8.0"


def test_whoever_asks_for_the_features_of_a_version_says_that_there_is_no_way_back() -> None:
    step = following({"members": [FIRST, OTHER, OTHER], "set": VOTING, "others": [], "user": True, "features": "7.0"}, 3)
    assert isinstance(step, Script)
    assert 'setFeatureCompatibilityVersion: "8.0", confirm: true' in step.text


@pytest.mark.parametrize("role", ["configServer", "shard"])
def test_a_set_of_a_cluster_leaves_that_to_its_routers(role: str) -> None:
    service = changed(EXAMPLE, options={"role": role})
    said = {"members": [one.replace(" in", " none") for one in (FIRST, OTHER, OTHER)], "set": VOTING, "others": [], "user": False}
    assert mongodb.initialise(service, ENVIRONMENT).next({**said, "features": ""}) is None


def test_the_configuration_is_yaml_and_says_nothing_of_how_many_there_are() -> None:
    few, many = (files(changed(EXAMPLE, replicas=count)) for count in (1, 5))
    assert few == many
    assert YAML(typ="safe").load(few["mongod.conf"]) == {
        "net": {"port": 27017, "bindIpAll": True},
        "replication": {"replSetName": "documents"},
        "security": {"authorization": "enabled", "keyFile": "/run/service/keyfile"},
        "setParameter": {"enableLocalhostAuthBypass": False},
        "storage": {"dbPath": "/data/db", "wiredTiger": {"engineConfig": {"cacheSizeGB": 1.0}}},
    }


def files(service: Service) -> dict[str, str]:
    found: dict[str, str] = next(
        resource.fields["data"] for id, resource in rendered(service).items() if "/ConfigMap/" in id and id.endswith("-config")
    )
    return found


@pytest.mark.parametrize(("limit", "cache"), [("8Gi", 3.5), ("2Gi", 0.5), ("1Gi", 0.25), ("512Mi", 0.25), (None, None)], ids=str)
def test_the_cache_follows_the_memory(limit: str | None, cache: float | None) -> None:
    resources = {"limits": {"memory": limit}} if limit else {}
    config = YAML(typ="safe").load(files(changed(EXAMPLE, options={}, resources=resources))["mongod.conf"])
    assert config["storage"].get("wiredTiger", {}).get("engineConfig", {}).get("cacheSizeGB") == cache


def test_a_member_with_an_address_of_its_own_binds_to_its_own_name() -> None:
    service = changed(EXAMPLE, addresses="private")
    assert YAML(typ="safe").load(files(service)["mongod.conf"])["net"] == {"port": 27017}
    assert template(service)["spec"]["containers"][0]["args"][-2:] == ["--bind_ip", "$(FQDN)"]


def test_secrets_are_made_once_and_no_retry_makes_others() -> None:
    """Trap 11, fault l: the same create twice."""
    world = World()
    desired = Desired(ENVIRONMENT, Revision("", "", "lab"), (EXAMPLE,))
    assert initialiser(world).bind(desired) == {}
    made = {name: secret["data"] for name, secret in world.secrets.items()}
    assert initialiser(world).bind(desired) == {}
    assert {name: secret["data"] for name, secret in world.secrets.items()} == made
    assert made.keys() == {"documents-keyfile", "documents-auth"}
    key = base64.b64decode(made["documents-keyfile"]["keyfile"])
    assert len(key) == 756
    assert len(base64.b64decode(key, validate=True)) == 567


def test_the_password_of_somebody_else_is_not_made() -> None:
    service = changed(EXAMPLE, options={"password": {"name": "mine", "key": "root"}})
    assert [one.name for one in mongodb.secrets(service, ENVIRONMENT)] == ["documents-keyfile"]
    secrets = next(one for one in template(service)["spec"]["volumes"] if one["name"] == "secrets")
    assert {"secret": {"name": "mine", "items": [{"key": "root", "path": "password"}]}} in secrets["projected"]["sources"]


def test_no_script_holds_a_password_or_has_one_on_a_command_line() -> None:
    """All that a Job's manifest and its process list show is where the files are."""
    looked = mongodb.initialise(EXAMPLE, ENVIRONMENT)
    said = {"members": [PRIMARY, SECONDARY, SECONDARY], "set": VOTING, "others": [], "user": False}
    step = looked.next(said)
    assert isinstance(step, Script)
    for text in (looked.look.text, step.text):
        assert 'readFileSync("/etc/service-secrets/" + name' in text
        assert "$(" not in text.replace("said=$(mongosh", "")
        assert not {"--password", "-p "} & set(text.split())


# --- the probe, against a socket that says what mongod would


def probe(greeting: dict[str, Any]) -> tuple[int, str]:
    """How the probe ends where the member greets with *greeting*, and what it was asked."""
    asked: list[dict[str, Any]] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                asked.append(bson.decode(connection.recv(4096)[21:]))
                body = struct.pack("<IB", 0, 0) + bson.encode(greeting)
                connection.sendall(struct.pack("<iiii", 16 + len(body), 1, 1, 2013) + body)

        thread = threading.Thread(target=answer)
        thread.start()
        script = template(EXAMPLE)["spec"]["containers"][0]["readinessProbe"]["exec"]["command"][2]
        script = script.replace("/27017", f"/{server.getsockname()[1]}")
        environment = {"PATH": "/usr/bin:/bin", "FQDN": "127.0.0.1"}
        ended = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=20)
        thread.join()
    assert asked == [{"hello": 1, "$db": "admin"}]
    return ended.returncode, ended.stderr.strip()


@pytest.mark.parametrize(
    ("greeting", "ready"),
    [
        ({"isWritablePrimary": True, "secondary": False, "ok": 1.0}, True),
        ({"isWritablePrimary": False, "setName": "x\n", "secondary": True, "ok": 1.0}, True),
        ({"isWritablePrimary": False, "secondary": False, "isreplicaset": True, "ok": 1.0}, False),
    ],
)
def test_a_member_is_ready_once_it_is_primary_or_secondary(greeting: dict[str, Any], ready: bool) -> None:
    assert probe(greeting) == ((0, "") if ready else (1, "neither primary nor secondary"))
