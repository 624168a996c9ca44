"""Kafka with a password: its scripts, run against what brokers and Kafka's tools would say; who gets in, and what is done then."""

from __future__ import annotations

import json
import socket
import stat
import struct
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from reconciler.model.initialise import Next, Script
from reconciler.model.service import Service
from reconciler.resources import workload
from stacks import _kafka_login, kafka
from tests.unit.test_java_secrets import read_property, read_word
from tests.unit.test_kafka import files, service, settings
from tests.unit.test_kafka_connect import served
from tests.unit.test_stacks import ENVIRONMENT, TYPES, changed, template

INNER = "Inner0123456789Inner0123456789ab"
ADMINS = 'se"s\\ame ${x}é'


def secrets(folder: Path) -> None:
    (folder / "password").write_text(ADMINS)
    (folder / "internal").write_text(INNER)


def run(folder: Path, script: str, *shell: str, **environment: str) -> str:
    """What *script* says, with the folders of a Pod in *folder*."""
    for place in (workload.SECRETS_PATH, workload.OWN_PATH, workload.CONFIG_PATH):
        script = script.replace(place, str(folder))
    told = {"PATH": f"{folder}:/usr/bin:/bin", "TMPDIR": str(folder), **environment}
    answer = f"say() {{ printf '%s' \"$1\" > {folder}/said; }}\n"
    subprocess.run([*(shell or ("bash", "-c")), f"{answer}{script}"], env=told, check=True, timeout=60)
    return (folder / "said").read_text() if (folder / "said").exists() else ""


def values(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


def word(jaas: str, name: str) -> str:
    """An option of a line of JAAS in a properties file."""
    return read_word(read_property(jaas).split(f'{name}="')[1].split('"')[0])


def test_strangers_are_refused_by_every_listener_and_only_clients_have_scram() -> None:
    found = settings(service(4, auth=True), 3)
    assert found["listener.security.protocol.map"] == "INTERNAL:SASL_PLAINTEXT,CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT"
    enabled = {name.split(".")[2]: found[name] for name in found if name.endswith("sasl.enabled.mechanisms")}
    assert enabled == {"internal": "PLAIN", "controller": "PLAIN", "client": "SCRAM-SHA-512"}


def test_a_members_own_properties_have_its_password_and_nobody_else_can_read_them(tmp_path: Path) -> None:
    secrets(tmp_path)
    (tmp_path / "events-0.properties").write_text("node.id=0\n")
    (container,) = (one for one in template(service(auth=True))["spec"]["initContainers"] if one["name"] == "login")
    *shell, script = container["command"]
    run(tmp_path, script, *shell, MEMBER="events-0")
    file = tmp_path / "server.properties"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = values(file)
    assert found.pop("node.id") == "0"
    assert found.keys() == {f"listener.name.{one}.plain.sasl.jaas.config" for one in ("internal", "controller")}
    assert {word(jaas, name) for jaas in found.values() for name in ("password", "user_members")} == {INNER}


def test_a_worker_logs_in_to_a_parent_that_asks_for_a_password(tmp_path: Path) -> None:
    secrets(tmp_path)
    (tmp_path / "pipes-0.properties").write_text("group.id=pipes\n")
    closed = child({"auth": True})
    (container,) = (one for one in template(closed)["spec"]["initContainers"] if one["name"] == "login")
    *shell, script = container["command"]
    run(tmp_path, script, *shell, MEMBER="pipes-0")
    found = values(tmp_path / "worker.properties")
    assert found.pop("group.id") == "pipes"
    for prefix in ("", "producer.", "consumer.", "admin."):
        assert (found[f"{prefix}security.protocol"], found[f"{prefix}sasl.mechanism"]) == ("SASL_PLAINTEXT", "SCRAM-SHA-512")
        assert word(found[f"{prefix}sasl.jaas.config"], "password") == ADMINS
    (volume,) = (one for one in template(closed)["spec"]["volumes"] if one["name"] == "secrets")
    assert [one["secret"]["name"] for one in volume["projected"]["sources"]] == ["log-auth"]
    assert "login" not in [one["name"] for one in template(child({}))["spec"]["initContainers"]]


def child(options: dict[str, object], **fields: object) -> Service:
    """Workers whose parent has these *options*."""
    one = served(3)
    (parent,) = one.parents
    return changed(one, parents=(type(parent)(changed(parent.service, options=options), parent.members),), **fields)


def test_a_worker_in_another_namespace_could_not_read_its_parents_password() -> None:
    faults = [(place, words) for place, words, _ in TYPES["kafka-connect"].check(child({"auth": True}, namespace="other"), ENVIRONMENT)]
    assert [place for place, _ in faults] == ["namespace"]
    assert not list(TYPES["kafka-connect"].check(child({}, namespace="other"), ENVIRONMENT))


class Listener:
    """One that answers what it is sent (*mode* open), closes the connection (closed), or lets it wait (silent)."""

    def __init__(self, mode: str) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.mode, self.port, self.request = mode, self.socket.getsockname()[1], b""
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        connection, _ = self.socket.accept()
        with connection:
            self.request = connection.recv(100)
            if self.mode == "open":
                connection.sendall(b"\0\0\0\1x")
            if self.mode == "silent":
                connection.recv(1)

    def close(self) -> None:
        self.thread.join(10)
        self.socket.close()


def look(folder: Path, ports: list[int], into: str) -> Mapping[str, str]:
    secrets(folder)
    (folder / "kafka-broker-api-versions.sh").write_text(f"#!/bin/sh\ncp \"$4\" {folder}/with\nprintf '{into}'\n")
    (folder / "kafka-broker-api-versions.sh").chmod(0o755)
    asked = {"events-0": " ".join(["localhost", *map(str, ports)])}
    script = _kafka_login.look(str(folder), "localhost:9092", asked) + 'say "{$access}"\n'
    said: Mapping[str, str] = json.loads(run(folder, script.replace("timeout 10", "timeout 1")))
    return said


@pytest.mark.parametrize(
    ("modes", "into", "how"),
    [
        (["closed", "closed"], "localhost:9092 (id: 0 rack: a isFenced: false) -> (\\n\\tProduce(0): 0\\n)\\n", "closed"),
        (["closed", "closed"], "localhost:9092 (id: 0 rack: a isFenced: false) -> ERROR: refused\\n", "wrong"),
        (["closed", "closed"], "", "wrong"),
        (["closed", "open"], "localhost:9092 (id: 0) -> (\\n", "open"),
        (["silent", "closed"], "localhost:9092 (id: 0) -> (\\n", "silent"),
    ],
)
def test_a_look_tells_who_gets_in(tmp_path: Path, modes: list[str], into: str, how: str) -> None:
    listeners = [Listener(mode) for mode in modes]
    assert look(tmp_path, [one.port for one in listeners], into) == {"events-0": how}
    for one in listeners:
        one.close()
        assert one.request == struct.pack(">ihhihBBBB", 14, 60, 1, 0, -1, 0, 0, 2, 0)  # DescribeCluster, version 1, of controllers
    assert word(values(tmp_path / "with")["sasl.jaas.config"], "password") == ADMINS


def test_a_port_that_nobody_listens_on_is_silent(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert look(tmp_path, [port], "localhost:9092 (id: 0) -> (\\n") == {"events-0": "silent"}


def test_the_admin_gets_the_password_once_all_answer_and_none_takes_it(tmp_path: Path) -> None:
    wanted = kafka.initialise(service(auth=True), ENVIRONMENT)
    assert wanted.closed
    names = [f"events-{n}" for n in range(3)]

    def following(how: str, **others: str) -> Next:
        return wanted.next({"access": {**dict.fromkeys(names, how), **others}, "finalised": "4.1-IV1"})

    assert following("closed") is None
    assert following("wrong", **{"events-1": "closed"}) == "events-0 takes the password of the user admin"
    assert following("wrong", **{"events-1": "silent"}) != following("wrong")
    step = following("wrong")
    assert isinstance(step, Script)
    secrets(tmp_path)
    tool = '#!/bin/sh\necho "$*" > {0}/words\nwhile [ "$1" != --command-config ]; do shift; done\ncp "$2" {0}/with\n'
    tool += 'while [ "$1" != --add-config-file ]; do shift; done\ncp "$2" {0}/given\n'
    (tmp_path / "kafka-configs.sh").write_text(tool.format(tmp_path))
    (tmp_path / "kafka-configs.sh").chmod(0o755)
    run(tmp_path, step.text.replace(kafka._BIN, str(tmp_path)))
    assert read_property(values(tmp_path / "given")["SCRAM-SHA-512"]) == f"password={ADMINS}"
    words = (tmp_path / "words").read_text()
    assert "--entity-name admin" in words
    assert "events-0.db.internal:9091" in words
    assert "se" + '"' not in words
    assert INNER not in words
    entry = values(tmp_path / "with")
    assert (entry["sasl.mechanism"], word(entry["sasl.jaas.config"], "password")) == ("PLAIN", INNER)


class Broker:
    """Takes the members' password only (SaslHandshake, SaslAuthenticate), then answers Metadata with its own name."""

    def __init__(self, password: str) -> None:
        self.password = password
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        connection, _ = self.socket.accept()
        with connection, connection.makefile("rb") as read:
            for key, body, answer in (
                (17, struct.pack(">h", 5) + b"PLAIN", struct.pack(">ihih", 0, 0, 1, 5) + b"PLAIN"),
                (36, struct.pack(">i", 41) + f"\0members\0{self.password}".encode(), struct.pack(">ihhi", 0, 0, -1, 0)),
                (3, struct.pack(">i", 0), struct.pack(">iiih", 0, 1, 0, 9) + b"localhost" + struct.pack(">ihii", 9091, -1, 0, 0)),
            ):
                (size,) = struct.unpack(">i", read.read(4))
                request = read.read(size)
                if request[:2] != struct.pack(">h", key) or request[10:] != body:
                    return
                connection.sendall(struct.pack(">i", len(answer)) + answer)

    def close(self) -> None:
        self.thread.join(10)
        self.socket.close()


@pytest.mark.parametrize(("password", "complaint"), [(INNER, ""), ("x" * 32, "it refuses the members' password")])
def test_the_probe_logs_in_as_a_member(tmp_path: Path, password: str, complaint: str) -> None:
    secrets(tmp_path)
    broker = Broker(password)
    script = files(service(auth=True))["ready.sh"].replace("9091", str(broker.port)).replace(workload.SECRETS_PATH, str(tmp_path))
    told = {"PATH": "/usr/bin:/bin", "FQDN": "localhost"}
    ended = subprocess.run(["bash", "-c", script], env=told, capture_output=True, text=True, check=False, timeout=10)
    broker.close()
    assert (ended.returncode, ended.stderr.strip()) == (int(bool(complaint)), complaint)


def test_without_a_password_nothing_of_it_is_there() -> None:
    plain = service()
    assert (TYPES["kafka"].secrets(plain, ENVIRONMENT), kafka.initialise(plain, ENVIRONMENT).closed) == ((), False)
    assert "password" not in kafka.initialise(plain, ENVIRONMENT).look.text
    assert "sasl" not in str(files(plain)).lower()
    assert [one["name"] for one in template(plain)["spec"]["initContainers"]][1:] == ["format"]
