"""A sharded MongoDB cluster: what is done next, from whatever its routers say; what its services render; what cannot be a cluster."""

from __future__ import annotations

import json
import random
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from reconciler import errors
from reconciler.model.initialise import Next, Script
from reconciler.model.service import Parent, Service
from stacks import _mongosh as mongosh
from stacks import mongodb, mongos
from tests.unit.test_mongodb import files, words
from tests.unit.test_stacks import ENVIRONMENT, changed, document, example, line_of, loaded, rendered, template

EXAMPLE = example("mongos")
CONFIG, *SHARDS = (parent.service for parent in EXAMPLE.parents)
KNOWN, NEW = "out in 0", "out out 0"
A, B = [0, 0], [1, 0]


def among(service: Service, **parents: Service | None) -> Service:
    """*service* with other parents; None: something is wrong with that one's document."""
    told = {parent.service.name: parent for parent in service.parents}
    told |= {name: Parent(one, tuple(f"{name}-{n}" for n in range(one.replicas))) for name, one in parents.items() if one}
    found = tuple(told[name] for name in service.depends_on if parents.get(name, 1))
    return changed(service, parents=found)


def following(said: dict[str, Any], service: Service = EXAMPLE) -> Next:
    return mongos.initialise(service, ENVIRONMENT).next(said)


TABLE: list[tuple[list[str], dict[str, Any], str]] = [
    ([NEW, "silent"], {}, "docs-1 answers"),
    ([NEW, "foreign"], {}, "docs-1 takes the keyfile"),
    (["in out 2", NEW], {}, "docs-0 refuses strangers"),
    (["silent out 2", NEW], {}, "docs-0 answers"),
    ([NEW, NEW], {}, "make the user admin"),
    ([KNOWN, KNOWN], {"user": True}, "add the shard docs-a"),
    ([KNOWN, KNOWN], {"user": True, "shards": [A]}, "add the shard docs-b"),  # killed after the first
    ([KNOWN, NEW], {"user": True, "shards": [A, B]}, "docs-1 takes the password of the user admin"),
    (["out silent 0", KNOWN], {"user": True, "shards": [A, B]}, "docs-0 takes the password of the user admin"),
    ([KNOWN, "out in 1"], {"user": True, "shards": [A, B]}, "docs-1 knows all shards"),
    ([KNOWN, KNOWN], {"user": True, "shards": [A, B]}, "None"),
    ([KNOWN, KNOWN], {"user": True, "shards": [A, B], "features": "7.0"}, "set the feature compatibility version 8.0"),
    ([KNOWN, "out in 1"], {"user": True, "shards": [A, B], "features": "7.0"}, "docs-1 knows all shards"),
    ([KNOWN, KNOWN], {"user": True, "shards": [A], "features": "7.0"}, "add the shard docs-b"),
    ([KNOWN, KNOWN], {"user": True, "shards": [A], "others": [["docs-z", 0]]}, "add the shard docs-b"),  # a place for what the other has
    ([KNOWN, KNOWN], {"user": True, "shards": [A, B], "others": [["docs-z", 0]]}, "drain the shard docs-z"),
    ([KNOWN, KNOWN], {"user": True, "shards": [A, [1, 1]]}, "drain the shard docs-b"),  # begun before it was wanted again
    ([KNOWN, KNOWN], {"user": True, "shards": [A, [1, 1]], "others": [["docs-z", 0]]}, "drain the shard docs-b"),
]


@pytest.mark.parametrize(("routers", "others", "then"), TABLE, ids=[f"{one[2]} {n}" for n, one in enumerate(TABLE)])
def test_what_is_lacking_follows_from_what_the_routers_say(routers: list[str], others: dict[str, Any], then: str) -> None:
    """F10, F11: no step is remembered, so it does not matter after which one somebody died."""
    assert words(following({"routers": routers, "shards": [], "others": [], "user": False, "features": "8.0", **others})) == then


def test_no_shard_is_drained_while_a_document_is_faulty() -> None:
    """Its shard is lacking from what is known of the cluster, and not from what is declared."""
    said = {"routers": [KNOWN, KNOWN], "shards": [A], "others": [["docs-b", 0]], "user": True}
    broken = among(EXAMPLE, **{"docs-b": None})
    assert following(said, broken) == "nothing is wrong with the documents of all shards: only then docs-b is drained"
    assert words(following(said, changed(EXAMPLE, dependsOn=["docs-config", "docs-a"], parents=broken.parents))) == "drain the shard docs-b"


def test_nobody_is_of_a_later_version_than_those_of_whom_it_depends() -> None:
    """Config servers first, then shards, then routers; one commit may have them all, since each waits for its parents."""
    older = changed(SHARDS[0], version="7.0")
    behind = among(EXAMPLE, **{"docs-a": older})
    assert [place for place, _, _ in mongos.check(behind, ENVIRONMENT)] == ["version"]
    assert not list(mongos.check(changed(behind, version="7.0"), ENVIRONMENT))
    early = among(SHARDS[0], **{"docs-config": changed(CONFIG, version="7.0")})
    assert [(place, hint) for place, _, hint in mongodb.check(early, ENVIRONMENT)] == [("version", 'write version: "8.0" there as well')]


def test_a_shard_that_goes_leaves_its_databases_to_those_who_stay() -> None:
    step = following({"routers": [KNOWN, KNOWN], "shards": [A, B], "others": [["docs-z", 0]], "user": True})
    assert isinstance(step, Script)
    assert 'const leaving = "docs-z";' in step.text
    assert 'const staying = ["docs-a", "docs-b"];' in step.text


@dataclass
class Cluster:
    """What the config servers keep, and what the shards have: databases by the shard on which they lie."""

    shards: dict[str, bool] = field(default_factory=dict)  # whether it drains
    homes: dict[str, str] = field(default_factory=dict)
    user: bool = False

    def look(self, wanted: list[str], routers: int) -> dict[str, Any]:
        listed = [[wanted.index(name), int(drains)] for name, drains in self.shards.items() if name in wanted]
        others = [[name, int(drains)] for name, drains in self.shards.items() if name not in wanted]
        told = f"out {'in' if self.user else 'out'} {len(wanted) - len(listed)}"
        return {"routers": [told] * routers, "shards": listed, "others": others[:3], "user": self.user, "features": "8.0"}

    def do(self, step: Script, moves: bool) -> None:
        """Safe to repeat, as the scripts are. A drain gets as far as one call of removeShard does, and *moves* what has to be moved."""
        match step.does.split():
            case ["make", *_]:
                self.user = True
            case ["add", *_, name]:
                self.shards.setdefault(name, False)
                self.homes.setdefault(f"of {name}", name)
            case ["drain", *_, name] if not self.shards.get(name, True):
                assert any(not drains for other, drains in self.shards.items() if other != name), "the last shard"
                self.shards[name] = True
            case ["drain", *_, name] if name in self.homes.values():
                (staying,) = re.findall(r"const staying = (\[.*?\]);", " ".join(shlex.split(step.text)))
                first = json.loads(staying)[0]
                assert not self.shards[first]
                self.homes = {one: first if moves and home == name else home for one, home in self.homes.items()}
            case ["drain", *_, name]:
                self.shards.pop(name, None)
            case other:
                raise AssertionError(other)


@pytest.mark.parametrize("seed", range(40))
def test_a_cluster_is_as_declared_in_the_end_whoever_is_killed_when(seed: int) -> None:
    """Fault e: steps that are killed before or after they did something, taken twice, or followed by another spec half-way."""
    chance, cluster = random.Random(seed), Cluster()
    every = [f"docs-{letter}" for letter in "abcd"]
    for is_last in (False, False, True):
        names = sorted(chance.sample(every, chance.randint(1, 4)))
        parents = {name: SHARDS[0].model_copy(update={"name": name}) for name in names}
        service = among(changed(EXAMPLE, dependsOn=["docs-config", *names]), **parents)
        databases = set(cluster.homes)
        for _ in range(200):
            wanted = following(cluster.look(names, 2), service)
            if wanted is None or (not is_last and chance.random() < 0.1):
                break
            assert isinstance(wanted, Script), wanted
            for _ in range(chance.choice([0, 1, 1, 2])):
                cluster.do(wanted, moves=chance.random() < 0.7)
        else:
            raise AssertionError(cluster)
        assert databases <= set(cluster.homes)
    assert cluster.shards == dict.fromkeys(names, False)
    assert set(cluster.homes.values()) <= set(names)


def test_no_function_returns_a_call_as_it_is_for_the_real_shell_would_not_wait_for_it() -> None:
    """Its refusal would be caught nowhere, as the real `mongosh` showed; the lab's waits for every call."""
    text = Path(str(mongosh.__file__)).read_text()
    assert "const answer = db.runCommand({ removeShard: leaving });" in text
    assert not re.findall(r"return [\w.()]*runCommand\([^;]*\);", text)


# --- what is rendered


def test_a_router_knows_the_config_servers_and_keeps_nothing() -> None:
    config = YAML(typ="safe").load(files(EXAMPLE)["mongos.conf"])
    assert config == {
        "net": {"port": 27017, "bindIpAll": True},
        "security": {"keyFile": "/run/service/keyfile"},
        "setParameter": {"enableLocalhostAuthBypass": False},
        "sharding": {"configDB": "docs-config/" + ",".join(f"docs-config-{n}.db.internal:27019" for n in range(3))},
    }
    assert not any("volume" in id.lower() for id in rendered(EXAMPLE))
    assert template(EXAMPLE)["spec"]["containers"][0]["args"] == ["mongos", "--config", "/etc/service/mongos.conf"]
    bound = changed(EXAMPLE, addresses="private", volumes={"data": {"size": "1Gi"}})
    assert template(bound)["spec"]["containers"][0]["args"][-2:] == ["--bind_ip", "$(FQDN)"]


def test_more_members_of_its_sets_restart_no_router_and_another_shard_does_not_either() -> None:
    """They are told by the config servers; a plan shows the shards in a file."""
    more = {one.name: one.model_copy(update={"replicas": 5}) for one in (CONFIG, *SHARDS)}
    assert template(among(EXAMPLE, **more)) == template(EXAMPLE)
    fewer = changed(EXAMPLE, dependsOn=["docs-config", "docs-a"], parents=EXAMPLE.parents[:2])
    assert template(fewer) == template(EXAMPLE)
    assert files(EXAMPLE)["shards"].splitlines()[1:] == ["docs-b/" + ",".join(f"docs-b-{n}.db.internal:27018" for n in range(3))]
    assert files(EXAMPLE)["shards"].startswith(files(fewer)["shards"])
    other = CONFIG.model_copy(update={"name": "other"})
    assert template(among(changed(EXAMPLE, dependsOn=["other", "docs-a"]), other=other)) != template(EXAMPLE)


@pytest.mark.parametrize(
    ("service", "role", "port"), [(CONFIG, "configsvr", 27019), (SHARDS[0], "shardsvr", 27018)], ids=["config", "shard"]
)
def test_a_set_of_a_cluster_has_its_role_and_a_port_of_its_own(service: Service, role: str, port: int) -> None:
    """FireCamp's ports: nobody connects to a shard by mistake."""
    parents = () if service is CONFIG else EXAMPLE.parents[:1]
    mine = changed(service, parents=parents)
    config = YAML(typ="safe").load(files(mine)["mongod.conf"])
    assert (config["net"]["port"], config["sharding"]) == (port, {"clusterRole": role})
    assert config["security"] == {"authorization": "enabled", "keyFile": "/run/service/keyfile"}
    probe = template(mine)["spec"]["containers"][0]["readinessProbe"]["exec"]["command"][2]
    assert f'"/dev/tcp/$FQDN/{port}"' in probe
    kept = next(one.fields["metadata"]["annotations"] for id, one in rendered(mine).items() if "StatefulSet" in id)
    assert kept["begun.reconciler/role"] == ("configServer" if service is CONFIG else "shard of docs-config")


def test_config_servers_are_founded_as_such_and_no_set_of_a_cluster_has_users() -> None:
    """Those of the cluster are made through a router, and lie with the config servers."""
    new = {"members": ["new out none"] * 3, "set": [], "others": [], "user": False}
    done = {"members": ["PRIMARY out none", *["SECONDARY out none"] * 2], "set": [[n, 1] for n in range(3)], "others": [], "user": False}
    for service, is_config in ((CONFIG, True), (changed(SHARDS[0], parents=EXAMPLE.parents[:1]), False)):
        wanted = mongodb.initialise(service, ENVIRONMENT)
        step = wanted.next(new)
        assert isinstance(step, Script)
        assert ('"configsvr": true' in step.text) == is_config
        assert f":{27019 if is_config else 27018}" in step.text
        assert wanted.next(done) is None
        assert wanted.closed
        assert 'secret("password")' not in wanted.look.text + step.text


def test_one_keyfile_serves_all_of_a_cluster_and_is_made_once() -> None:
    """Trap 11: whoever made another would never be let in."""
    shard = changed(SHARDS[0], parents=EXAMPLE.parents[:1])
    made = {one.name: [secret.name for secret in kind.secrets(one, ENVIRONMENT)] for kind, one in _kinds(shard)}
    assert made == {"docs-config": ["docs-config-keyfile"], "docs-a": [], "docs": []}
    for _, service in _kinds(shard):
        volume = next(one for one in template(service)["spec"]["volumes"] if one["name"] == "secrets")
        named = [one["secret"]["name"] for one in volume["projected"]["sources"]]
        assert named == ["docs-config-keyfile", *(["docs-root"] if service is EXAMPLE else [])]
    own = changed(EXAMPLE, options={})
    assert [(one.name, one.keys) for one in mongos.secrets(own, ENVIRONMENT)] == [("docs-auth", {"password": 32})]


def _kinds(shard: Service) -> list[tuple[Any, Service]]:
    return [(mongodb, CONFIG), (mongodb, shard), (mongos, EXAMPLE)]


# --- what cannot be a cluster


def faults(text: str) -> list[str]:
    with pytest.raises(errors.SpecError) as caught:
        loaded(text)
    return [str(fault) for fault in caught.value.faults]


WRONG: list[tuple[str, str, str, str]] = [
    ("[docs-config, docs-a, docs-b]", "[docs-a, docs-b]", "dependsOn: [docs-a", "needs the config servers of its cluster"),
    ("[docs-config, docs-a, docs-b]", "[docs-config]", "dependsOn: [docs-config]\n  options: {password", "has a shard at least"),
    ("dependsOn: [docs-config]", "dependsOn: []", "dependsOn: []", "needs the config servers of its cluster"),
    (
        "replicas: 2",
        "namespace: other\n  replicas: 2",
        "dependsOn: [docs-config, docs-a",
        "docs-config is a Secret of the namespace default",
    ),
    ("replicas: 2", "replicas: 2\n  volumes: {data: {size: 1Gi}}", "volumes: {data: {size: 1Gi}}", "a router has no volumes"),
    ("replicas: 2", "replicas: 101", "replicas: 101", "100 routers at most"),
    ("options: {role: configServer}", "options: {role: arbiter}", "options: {role: arbiter}", "role"),
    (
        "options: {role: configServer}",
        "options: {role: configServer, password: {name: mine, key: root}}",
        "options: {role: configServer, password",
        "no users of its own",
    ),
]


@pytest.mark.parametrize(("before", "after", "where", "what"), WRONG, ids=[one[3] for one in WRONG])
def test_what_is_no_cluster_is_refused_at_its_place(before: str, after: str, where: str, what: str) -> None:
    text = document("mongos").replace(before, after)
    line = text[: text.index(where)].count("\n") + 1
    found = faults(text)
    assert any(f"one.yaml:{line}:" in fault and what in fault for fault in found), found


def test_a_router_names_sets_of_its_own_cluster_only() -> None:
    text = document("mongos")
    of = f"{text}---\n" + text.split("---\n")[0].replace("docs-config", "others")
    of += "---\n" + text.split("---\n")[1].replace("docs-a", "lost").replace("dependsOn: [docs-config]", "dependsOn: [others]")
    of += "---\n" + text.split("---\n")[0].replace("docs-config", "plain").replace("  options: {role: configServer}\n", "")
    for names, number, what in (
        ("docs-config, docs-a, docs-b, lost", 3, "lost is a shard of others, not of docs-config"),
        ("docs-config, docs-a, docs-b, plain", 3, "plain is none"),
        ("docs-config, others, docs-a", 1, "has the config servers of one cluster"),
    ):
        changed_text = of.replace("[docs-config, docs-a, docs-b]", f"[{names}]")
        line = line_of(changed_text, f"[{names}]")
        column = changed_text.splitlines()[line - 1].index(names.split(", ")[number]) + 1
        (fault,) = faults(changed_text)
        assert f"one.yaml:{line}:{column}: " in fault
        assert what in fault


def test_no_shard_is_called_what_the_config_servers_have_for_themselves() -> None:
    text = document("mongos").replace("docs-a", "config")
    (fault,) = faults(text)
    assert "MongoDB has no shard of the name config" in fault


def test_the_admin_s_password_changes_once_all_routers_have_the_next_one() -> None:
    turned = changed(EXAMPLE, rotation=1, options={})
    said = {"routers": [NEW] * EXAMPLE.replicas, "shards": [A, B], "others": [], "user": True, "features": EXAMPLE.version}
    step = following(said, turned)
    assert isinstance(step, Script)
    assert step.does == "give the user admin the new password"
    assert following({**said, "routers": [KNOWN] * EXAMPLE.replicas}, turned) is None
    assert not isinstance(following(said), Script)
    rotation = mongos.rotate(turned, ENVIRONMENT)
    assert rotation
    assert (rotation.before, rotation.former) == (None, (f"{EXAMPLE.name}-auth",))
