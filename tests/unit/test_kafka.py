"""Kafka's layout, and its two scripts: who formats a volume with what, and when a broker is ready."""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from reconciler.model.service import Service
from reconciler.resources import workload
from stacks import kafka
from tests.unit.test_stacks import changed, example, rendered, template


def service(replicas: int = 3, **options: object) -> Service:
    return changed(example("kafka"), replicas=replicas, options=options)


def files(of: Service) -> Mapping[str, str]:
    return next(resource.fields["data"] for id, resource in rendered(of).items() if "ConfigMap" in id)


def settings(of: Service, ordinal: int) -> dict[str, str]:
    return dict(line.split("=", 1) for line in files(of)[f"events-{ordinal}.properties"].splitlines())


@pytest.mark.parametrize(("controllers", "replicas"), [(1, 1), (1, 4), (3, 3), (3, 7), (5, 5)])
def test_the_first_members_vote_and_the_others_are_brokers_only(controllers: int, replicas: int) -> None:
    wanted = service(replicas, controllers=controllers)
    found = [settings(wanted, n) for n in range(replicas)]
    assert [one["process.roles"] for one in found] == ["broker,controller"] * controllers + ["broker"] * (replicas - controllers)
    assert [one["node.id"] for one in found] == [str(n) for n in range(replicas)]
    assert ["CONTROLLER://" in one["listeners"] for one in found] == [n < controllers for n in range(replicas)]
    assert len(files(wanted)["voters"].split(",")) == controllers


def test_a_member_listens_on_its_own_name_only_and_says_its_zone() -> None:
    found = settings(service(4), 3)
    assert found["listeners"] == "INTERNAL://events-3.db.internal:9091,CLIENT://events-3.db.internal:9092"
    assert found["broker.rack"] == "us-east-1a"


def test_more_brokers_restart_nobody_and_change_no_file() -> None:
    few, many = service(3), service(9)
    assert template(few) == template(many)
    assert {name: files(many)[name] for name in files(few)} == files(few)


@pytest.mark.parametrize(
    ("replicas", "options", "copies", "insync"),
    [
        (1, {"controllers": 1}, "1", "1"),
        (2, {"controllers": 1}, "2", "2"),
        (3, {}, "3", "2"),
        (9, {}, "3", "2"),
        (3, {"defaultReplicationFactor": 1}, "1", "1"),
        (5, {"defaultReplicationFactor": 5, "minInsyncReplicas": 4}, "5", "4"),
    ],
)
def test_replication_follows_the_members_up_to_three(replicas: int, options: dict[str, object], copies: str, insync: str) -> None:
    found = settings(service(replicas, **options), 0)
    assert {found[name] for name in found if name.endswith("replication.factor")} == {copies}
    assert {found[name] for name in found if name.endswith((".isr", "insync.replicas"))} == {insync}


def test_what_could_lose_or_litter_is_off_unless_it_is_asked_for() -> None:
    plain, asked = settings(service(), 0), settings(service(autoCreateTopics=True, uncleanLeaderElection=True), 0)
    for name in ("auto.create.topics.enable", "unclean.leader.election.enable"):
        assert (plain[name], asked[name]) == ("false", "true")


@pytest.mark.parametrize(("heap", "buffer"), [("128Mi", 32 * 2**20), ("1Gi", 128 * 2**20), ("8Gi", 128 * 2**20)])
def test_the_cleaner_takes_no_more_of_the_heap_than_there_is(heap: str, buffer: int) -> None:
    assert settings(service(heap=heap), 0)["log.cleaner.dedupe.buffer.size"] == str(buffer)


def test_volumes_belong_to_the_group_of_the_images_user() -> None:
    assert template(service())["spec"]["securityContext"]["fsGroup"] == 1000


def test_ids_are_kafkas_stable_and_never_look_like_an_option() -> None:
    found = [kafka._uuid("lab", f"events-{n}") for n in range(500)]
    assert found == [kafka._uuid("lab", f"events-{n}") for n in range(500)]
    assert {len(one) for one in found} == {22}
    assert not any(one.startswith("-") for one in found)
    assert len(set(found)) == 500
    assert kafka._uuid("lab", "events") != kafka._uuid("prod", "events")


CLUSTER = kafka._uuid("lab", "events")
# What of kafka-storage matters: what it was asked, and what it leaves behind.
STORAGE = """#!/bin/sh
echo "$@" >> {folder}/asked
while [ "$1" != --config ]; do shift; done
mkdir -p {folder}/data/kafka
{{ sed -n '/^node.id/p' "$2"; echo cluster.id=$4; }} > {folder}/data/kafka/meta.properties
"""


def formats(folder: Path, member: str, of: Service, cluster: str = CLUSTER) -> tuple[int, str]:
    """How the init container of *member* ends, and what it complains of."""
    (folder / "data").mkdir(exist_ok=True)
    for name, content in files(of).items():
        (folder / name).write_text(content)
    tool = folder / "kafka-storage.sh"
    tool.write_text(STORAGE.format(folder=folder))
    tool.chmod(0o755)
    (container,) = (one for one in template(of)["spec"]["initContainers"] if one["name"] == "format")
    *shell, script = container["command"]
    for place, here in ((workload.CONFIG_PATH, folder), (kafka._BIN, folder), (kafka._DATA, folder / "data")):
        script = script.replace(place, str(here))
    environment = {"PATH": "/usr/bin:/bin", "MEMBER": member, "CLUSTER_ID": cluster}
    ended = subprocess.run([*shell, script], env=environment, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stderr.strip()


def asked(folder: Path) -> list[str]:
    return (folder / "asked").read_text().splitlines()


def test_a_volume_is_formatted_once_a_controllers_with_all_voters_a_brokers_with_none(tmp_path: Path) -> None:
    for place, member, quorum in (
        ("c", "events-0", f"--initial-controllers {files(service(4))['voters']}"),
        ("b", "events-3", "--no-init"),
    ):
        folder = tmp_path / place
        folder.mkdir()
        for _ in range(2):
            assert formats(folder, member, service(4)) == (0, "")
        assert len(asked(folder)) == 1
        assert f"--cluster-id {CLUSTER} {quorum}" in asked(folder)[0]


def test_a_format_that_was_cut_short_is_done_again(tmp_path: Path) -> None:
    assert formats(tmp_path, "events-0", service()) == (0, "")
    (tmp_path / "data/kafka/meta.properties").unlink()
    assert formats(tmp_path, "events-0", service()) == (0, "")
    assert len(asked(tmp_path)) == 2


def test_a_volume_of_another_cluster_node_or_quorum_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    assert formats(tmp_path, "events-1", service(4)) == (0, "")
    held = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    other = kafka._uuid("prod", "events")
    for member, of, cluster, words in (
        ("events-1", service(4), other, f"of cluster {CLUSTER}, not {other}"),
        ("events-2", service(4), CLUSTER, "of node 1, but events-2 is node 2"),
        ("events-1", service(4, controllers=1), CLUSTER, "put options.controllers back"),
    ):
        code, complaint = formats(tmp_path, member, of, cluster)
        assert (code, words in complaint) == (1, True), complaint
    assert {path: path.read_bytes() for path in held} == held
    assert len(asked(tmp_path)) == 1


class Broker:
    """Answers one Metadata request, version 1, with these *hosts*; with nothing where there are None."""

    def __init__(self, hosts: list[str] | None) -> None:
        self.hosts, self.request = hosts, b""
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._answer)
        self.thread.start()

    def _answer(self) -> None:
        connection, _ = self.socket.accept()
        with connection:
            self.request = connection.recv(18)
            if self.hosts is None:
                return
            each = (struct.pack(">ih", n, len(host)) + host.encode() + struct.pack(">ih", 9092, -1) for n, host in enumerate(self.hosts))
            body = struct.pack(">ii", 0, len(self.hosts)) + b"".join(each) + struct.pack(">ii", 0, 0)
            connection.sendall(struct.pack(">i", len(body)) + body)
            connection.recv(1)  # the connection stays open: who waits for its end waits for ever

    def close(self) -> None:
        self.thread.join(10)
        self.socket.close()


@pytest.mark.parametrize(
    ("hosts", "complaint"),
    [
        (["events-1.db.internal", "localhost"], ""),
        (["events-1.db.internal"], "the controllers have not let it in"),
        ([], "the controllers have not let it in"),
        (None, "it closed the connection"),
    ],
)
def test_a_broker_is_ready_once_the_controllers_have_let_it_in(hosts: list[str] | None, complaint: str) -> None:
    broker = Broker(hosts)
    script = files(service())["ready.sh"].replace(str(kafka.CLIENT), str(broker.port))
    environment = {"PATH": "/usr/bin:/bin", "FQDN": "localhost"}
    ended = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=10)
    broker.close()
    assert (ended.returncode, ended.stderr.strip()) == (int(bool(complaint)), complaint)
    assert broker.request == struct.pack(">ihhihi", 14, 3, 1, 0, -1, 0)  # Metadata, version 1, of no topics


def test_one_that_does_not_listen_is_not_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = files(service())["ready.sh"].replace(str(kafka.CLIENT), str(port))
    assert subprocess.run(["bash", "-c", script], env={"FQDN": "localhost"}, capture_output=True, check=False).returncode == 1
