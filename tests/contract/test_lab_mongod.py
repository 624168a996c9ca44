"""The stand-ins for MongoDB's server and shell, asked by the unchanged driver and by the very scripts of `stacks`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bson
import pymongo
import pytest
from pymongo import errors

from lab.standins.mongod import matching, settings
from lab.standins.mongod.disk import Journal, Taken
from lab.standins.mongod.refusal import Refusal
from lab.standins.mongod.wire import Peer
from reconciler.model.service import Service
from reconciler.resources import workload
from stacks import _mongo as mongo
from stacks import _mongosh as mongosh

ROOT = Path(__file__).parents[2]
KEY, PASSWORD = "k3y" * 252, "p@ss word/:%\"'"
HASTY = {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500}
pytestmark = pytest.mark.timeout(240)


@dataclass
class Party:
    """Members on this machine's loopback, each a process of its own."""

    folder: Path
    ports: list[int]
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def hosts(self) -> list[str]:
        return [f"127.0.0.1:{port}" for port in self.ports]

    def start(self, port: int, set_name: str = "docs", role: str = "", major: str = "8.0", key: str = "key") -> None:
        (self.folder / str(port)).mkdir(exist_ok=True)
        self.run_server(
            "mongod",
            port,
            f"replication: {{replSetName: {set_name}}}\nsecurity: {{keyFile: {self.folder}/{key}, authorization: enabled}}\n"
            f"storage: {{dbPath: {self.folder}/{port}}}\n" + (f"sharding: {{clusterRole: {role}}}\n" if role else ""),
            major,
        )

    def run_server(self, name: str, port: int, settings: str, major: str = "8.0", within: float = 60) -> None:
        config = self.folder / f"{port}.conf"
        config.write_text(f"net: {{port: {port}, bindIp: 127.0.0.1}}\n{settings}")
        log = (self.folder / f"{port}.log").open("a")
        command = [sys.executable, "-m", f"lab.standins.{name}", "--config", str(config)]
        self.processes[port] = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "MONGO_MAJOR": major}, stdout=log, stderr=log)
        log.close()
        until(lambda: answers(port) or self.processes[port].poll() is not None, within)
        assert answers(port), (self.folder / f"{port}.log").read_text()

    def kill(self, port: int) -> None:
        self.processes[port].kill()
        self.processes[port].wait()

    def run(self, script: str) -> str:
        """What *script* says, run as its Job would be."""
        environment = {"PATH": f"{self.folder}/bin:/usr/bin:/bin", "HOME": str(self.folder)}
        command = ["bash", "-c", f'say() {{ printf %s "$1"; }}\n{script}']
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert ended.returncode == 0, ended.stderr
        assert KEY not in ended.stdout + ended.stderr
        assert PASSWORD not in ended.stdout + ended.stderr
        return ended.stdout

    def client(self, *ports: int, **more: Any) -> pymongo.MongoClient[dict[str, Any]]:
        """As a member is known to the others; to one of them where one is named."""
        place: dict[str, Any] = {"directConnection": True} if len(ports) == 1 else {"replicaSet": "docs"}
        login = {"username": "__system", "password": KEY, "authSource": "local"}
        return pymongo.MongoClient([f"127.0.0.1:{port}" for port in ports], **{**place, **login, **more}, timeoutMS=60_000)

    def states(self, port: int) -> dict[str, str]:
        with self.client(port) as client:
            return {one["name"]: one["stateStr"] for one in client.admin.command("replSetGetStatus")["members"]}


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def until(holds: Callable[[], bool], within: float = 60) -> None:
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@contextlib.contextmanager
def gathered(folder: Path, number: int) -> Iterator[Party]:
    """A party of *number* ports, with what its servers and Jobs find in files."""
    held = [socket.socket() for _ in range(number)]  # bound and not listening: a server may have the port, and nobody is given it meanwhile
    for one in held:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
    made = Party(folder, [one.getsockname()[1] for one in held])
    for name, content in {"key": KEY, "keyfile": KEY + "\n", "password": PASSWORD + "\n"}.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o400)
    (folder / "bin").mkdir()
    shell = folder / "bin" / "mongosh"
    shell.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m lab.standins.mongosh "$@"\n')
    shell.chmod(0o755)
    try:
        yield made
    finally:
        for process in made.processes.values():
            process.kill()
            process.wait()
        for one in held:
            one.close()


@pytest.fixture
def party(tmp_path: Path) -> Iterator[Party]:
    with gathered(tmp_path, 3) as made:
        yield made


def test_every_step_of_a_set_may_be_taken_twice(party: Party) -> None:
    """The very scripts of the Jobs: found a set of one, make its user, take two more in, and one out."""
    for port in party.ports:
        party.start(port)
    secrets, (first, second, third), alone = str(party.folder), party.hosts, party.hosts[:1]

    def look(hosts: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(party.run(mongosh.look(hosts, secrets)))
        return found

    assert look(party.hosts) == {"members": ["new out out"] * 3, "set": [], "others": [], "user": False, "features": ""}
    config = {"_id": "docs", "members": [{"_id": 0, "host": first, "votes": 1, "priority": 1}]}
    for script in (mongosh.initiate(alone, secrets, config), mongosh.user(alone, secrets)):
        party.run(script)
        until(lambda: party.states(party.ports[0]) == {first: "PRIMARY"})
        party.run(script)
    for number, host in enumerate((second, third), 1):
        for member in ({"votes": 0, "priority": 0}, {"votes": 1, "priority": 1}):
            script = mongosh.configure(party.hosts, secrets, host, number, member)
            party.run(script)
            party.run(script)
            until(lambda host=host: party.states(party.ports[0])[host] == "SECONDARY")  # type: ignore[misc]
    members = ["PRIMARY out in", "SECONDARY out in", "SECONDARY out in"]
    assert look(party.hosts) == {"members": members, "set": [[0, 1], [1, 1], [2, 1]], "others": [], "user": True, "features": "8.0"}
    assert look([first, second])["others"] == [third]
    for _ in range(2):
        party.run(mongosh.configure([first, second], secrets, third, 0, None))
    assert look([first, second]) == {"members": members[:2], "set": [[0, 1], [1, 1]], "others": [], "user": True, "features": "8.0"}


def test_a_set_that_was_begun_by_an_earlier_version_is_given_the_features_of_this_one(party: Party) -> None:
    """The very script of the Job, taken twice; before it the earlier server takes the data still, and never after it."""
    port, host, secrets = party.ports[0], party.hosts[0], str(party.folder)
    config = {"_id": "docs", "members": [{"_id": 0, "host": host, "votes": 1, "priority": 1}]}

    def started(major: str) -> str:
        party.start(port, major=major)
        until(lambda: party.states(port) == {host: "PRIMARY"})
        found: str = json.loads(party.run(mongosh.look([host], secrets)))["features"]
        party.kill(port)
        return found

    party.start(port, major="7.0")
    party.run(mongosh.initiate([host], secrets, config))
    party.run(mongosh.user([host], secrets))
    party.kill(port)
    assert [started(major) for major in ("8.0", "7.0")] == ["7.0", "7.0"]

    party.start(port)
    until(lambda: party.states(port) == {host: "PRIMARY"})
    with party.client(port) as client:
        for asked, words in (
            ({"setFeatureCompatibilityVersion": "8.0"}, "confirm: true"),
            ({"setFeatureCompatibilityVersion": "9.0"}, "expected"),
        ):
            with pytest.raises(errors.OperationFailure, match=words):
                client.admin.command(asked)
    for _ in range(2):
        party.run(mongosh.set_features([host], secrets, "8.0"))
    assert json.loads(party.run(mongosh.look([host], secrets)))["features"] == "8.0"
    party.kill(port)
    command = [sys.executable, "-m", "lab.standins.mongod", "--config", str(party.folder / f"{port}.conf")]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "MONGO_MAJOR": "7.0"}, capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stderr.strip()) == (
        62,
        "UPGRADE PROBLEM: Invalid feature compatibility version value '8.0'; expected '6.0' or '7.0'",
    )


def test_members_of_neighbouring_generations_of_keys_know_each_other_and_the_admin_s_password_changes(party: Party) -> None:
    """They restart one by one with the two keys of their generation; the second rotation refuses the first one's former key."""
    keys, secrets = [KEY, "n3w" * 252, "1ast" * 189], str(party.folder)
    for generation in (1, 2):
        folder = party.folder / f"secrets-{generation}"
        folder.mkdir()
        for name, content in {
            "keyfile": keys[generation - 1],
            "keyfile-next": keys[generation],
            "password": f"pass-{generation}\n",
        }.items():
            (folder / name).write_text(content)
        service = Service(name="docs", type="mongodb", version="8.0", rotation=generation)
        script = mongo.own_keyfile(service, two=True)["command"][-1].replace(workload.SECRETS_PATH, str(folder))
        own = script.replace(f"{workload.OWN_PATH}/keyfile", f"{party.folder}/key-{generation}").replace("chown mongodb", "true")
        subprocess.run(["bash", "-ec", own], check=True)

    for port in party.ports:
        party.start(port)
    config = {"_id": "docs", "members": [{"_id": n, "host": host} for n, host in enumerate(party.hosts)], "settings": HASTY}
    party.run(mongosh.initiate(party.hosts, secrets, config))
    until(lambda: sorted(party.states(party.ports[0]).values()) == ["PRIMARY", "SECONDARY", "SECONDARY"])
    party.run(mongosh.user(party.hosts, secrets))
    for generation in (1, 2):
        login, told = {"password": keys[generation - 1]}, str(party.folder / f"secrets-{generation}")
        for port in party.ports:
            party.kill(port)
            party.start(port, key=f"key-{generation}")
            until(lambda login=login: writes(party, **login))  # type: ignore[misc]
            until(lambda told=told: all(one.startswith(("PRIMARY", "SECONDARY")) for one in looked(party, told)["members"]))  # type: ignore[misc]
        assert {one.split()[2] for one in looked(party, told)["members"]} == {"out"}
        for _ in range(2):
            party.run(mongosh.password(party.hosts, told))
        until(lambda told=told: {one.split()[2] for one in looked(party, told)["members"]} == {"in"})  # type: ignore[misc]
    assert looked(party, secrets)["members"] == ["foreign out out"] * 3
    with party.client(*party.ports, password=keys[2]) as client:
        assert client.letters.kept.count_documents({}) >= 6


def writes(party: Party, **login: str) -> bool:
    """Whether somebody takes what one writes who comes as a member does."""
    with party.client(*party.ports, **login) as client:
        try:
            return bool(client.letters.kept.insert_one({}).acknowledged)
        except errors.AutoReconnect:  # who was primary a moment ago
            return False


def looked(party: Party, secrets: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(party.run(mongosh.look(party.hosts, secrets)))
    return found


def test_what_a_majority_has_outlives_a_killed_primary_and_what_it_has_not_goes(party: Party) -> None:
    for port in party.ports:
        party.start(port)
    members = [{"_id": number, "host": host} for number, host in enumerate(party.hosts)]
    config = {"_id": "docs", "members": members, "settings": HASTY}
    with party.client(party.ports[0]) as founder:
        founder.admin.command({"replSetInitiate": config})
        with pytest.raises(errors.OperationFailure, match="already initialized"):
            founder.admin.command({"replSetInitiate": config})
    with party.client(*party.ports) as client:
        client.judged.numbers.insert_one({"_id": "kept"})
        primary = client.primary
    assert primary
    others = [port for port in party.ports if port != primary[1]]
    for port in others:
        party.kill(port)
    with party.client(primary[1], w=1) as client:
        client.judged.numbers.insert_one({"_id": "lost"})
    party.kill(primary[1])
    for port in others:
        party.start(port)
    with party.client(*party.ports) as client:
        client.judged.numbers.insert_one({"_id": "later"})
        party.start(primary[1])
        until(lambda: party.states(primary[1])[f"127.0.0.1:{primary[1]}"] == "SECONDARY")
    with party.client(primary[1], readPreference="secondary") as client:
        until(lambda: [one["_id"] for one in client.judged.numbers.find()] == ["kept", "later"])


def test_a_primary_without_a_majority_steps_down(party: Party) -> None:
    for port in party.ports:
        party.start(port)
    members = [{"_id": number, "host": host} for number, host in enumerate(party.hosts)]
    with party.client(party.ports[0]) as founder:
        founder.admin.command({"replSetInitiate": {"_id": "docs", "members": members, "settings": HASTY}})
    with party.client(*party.ports) as client:
        client.judged.numbers.insert_one({"_id": 1})
        primary = client.primary
    assert primary
    for port in set(party.ports) - {primary[1]}:
        party.kill(port)
    until(lambda: party.states(primary[1])[f"127.0.0.1:{primary[1]}"] == "SECONDARY")
    with party.client(primary[1]) as client, pytest.raises(errors.NotPrimaryError):
        client.judged.numbers.insert_one({"_id": 2})


def test_a_write_that_is_asked_for_again_is_done_once(party: Party) -> None:
    """What a driver does whose answer was lost; also after the server has started anew."""
    port = party.ports[0]
    party.start(port)
    with party.client(port) as founder:
        founder.admin.command({"replSetInitiate": {"_id": "docs", "members": [{"_id": 0, "host": party.hosts[0]}]}})
    until(lambda: party.states(port) == {party.hosts[0]: "PRIMARY"})
    adding = [{"q": {"_id": "visits"}, "u": {"$inc": {"number": 1}}, "upsert": True}]
    body = {"update": "counters", "updates": adding, "lsid": {"id": bson.Binary(bytes(16), 4)}, "txnNumber": bson.Int64(7), "$db": "judged"}

    async def asked() -> dict[str, Any]:
        peer = Peer(party.hosts[0], [KEY])
        try:
            return await peer.ask(body, 30)
        finally:
            peer.close()

    first = asyncio.run(asked())
    assert asyncio.run(asked()) == first
    party.kill(port)
    party.start(port)
    until(lambda: party.states(port) == {party.hosts[0]: "PRIMARY"})
    assert asyncio.run(asked()) == first
    with party.client(port) as client:
        assert list(client.judged.counters.find()) == [{"_id": "visits", "number": 1}]


def test_a_record_that_was_torn_is_cut_off_and_a_folder_has_one_server(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.keep({"config": 1}, {"config": 2})
    with pytest.raises(Taken, match="another mongod uses"):
        Journal(tmp_path)
    journal.close()
    with (tmp_path / "oplog.bson").open("ab") as file:
        file.write(bson.encode({"config": 3})[:-2])
    again = Journal(tmp_path)
    assert list(again.records()) == [{"config": 1}, {"config": 2}]
    again.keep({"config": 4})
    assert list(again.records()) == [{"config": 1}, {"config": 2}, {"config": 4}]
    again.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("net: {tls: {mode: requireTLS}}", "Unrecognized option: net.tls.mode"),
        ("replication: {replSetName: docs}\nsecurity: {authorization: enabled}", "security.keyFile is required"),
        ("security: {keyFile: FOLDER/open}\nreplication: {replSetName: docs}\nstorage: {dbPath: FOLDER}", "are too open"),
        ("security: {keyFile: FOLDER/three}\nreplication: {replSetName: docs}\nstorage: {dbPath: FOLDER}", "only 2 keys are supported"),
        ("security: {keyFile: FOLDER/listed}\nreplication: {replSetName: docs}\nstorage: {dbPath: FOLDER}", "6 to 1024 characters"),
        ("security: {keyFile: FOLDER/short}\nreplication: {replSetName: docs}\nstorage: {dbPath: FOLDER}", "6 to 1024 characters"),
    ],
)
def test_settings_that_a_server_cannot_have_are_refused(tmp_path: Path, text: str, words: str) -> None:
    three, listed = "- aaaaaaaa\n- bbbbbbbb\n- cccccccc\n", "- aaaaaaaa\n- key\n"
    for name, content, mode in (("open", "k" * 100, 0o440), ("short", "key", 0o400), ("three", three, 0o400), ("listed", listed, 0o400)):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(mode)
    (tmp_path / "mongod.conf").write_text(text.replace("FOLDER", str(tmp_path)))
    with pytest.raises(settings.SettingsError, match=words):
        settings.read(["--config", str(tmp_path / "mongod.conf")])


def test_what_the_stand_in_does_not_know_is_refused_never_ignored() -> None:
    for ask in (lambda: matching.matches({}, {"a": {"$regex": "x"}}), lambda: matching.updated({}, {"$push": {"a": 1}})):
        with pytest.raises(Refusal, match="this stand-in has"):
            ask()
    assert matching.updated({"_id": 1, "a": 1}, {"$inc": {"a": 2}, "$set": {"b": 0}, "$unset": {"c": ""}}) == {"_id": 1, "a": 3, "b": 0}
    assert matching.matches({"a": {"b": 2}}, {"a.b": {"$gt": 1, "$lt": 3}, "c": None})


def test_a_primary_that_steps_down_has_an_heir_and_who_leaves_is_out_before_it_goes(party: Party) -> None:
    """The scripts of a rollout and of a drain, each taken twice: F13, and what a smaller set needs before its Pods go."""
    for port in party.ports:
        party.start(port)
    secrets, hosts, names = str(party.folder), party.hosts, ["docs-0", "docs-1", "docs-2"]
    config = {"_id": "docs", "settings": HASTY, "members": [{"_id": n, "host": host} for n, host in enumerate(hosts)]}

    def asked(script: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(party.run(script))
        return found

    def leading() -> str:
        return str(asked(mongosh.leader(hosts, secrets, names))["leader"])

    assert leading() == ""
    assert asked(mongosh.drained(hosts, secrets, hosts[1:])) == {"primary": "", "members": [], "founded": False}
    party.run(mongosh.initiate(hosts, secrets, config))
    until(lambda: leading() != "")
    first = leading()
    going = hosts[names.index(first)]
    until(lambda: sorted(party.states(int(going.partition(":")[2])).values()) == ["PRIMARY", "SECONDARY", "SECONDARY"])
    for _ in range(2):
        party.run(mongosh.step_down(hosts, secrets, [going]))
        assert leading() not in {"", first}
    said = asked(mongosh.drained(hosts, secrets, [going]))
    assert (said["members"], said["founded"]) == ([going], True)
    for _ in range(2):
        party.run(mongosh.configure(hosts, secrets, going, 0, None))
    assert asked(mongosh.drained(hosts, secrets, [going])) == {**said, "members": []}
