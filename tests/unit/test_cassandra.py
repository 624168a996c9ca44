"""Cassandra: seeds, whose turn it is to join the ring, and who is ready; its scripts run for real, against stand-ins of the others."""

from __future__ import annotations

import socket
import subprocess
import threading
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from reconciler.resources import workload
from tests.unit.test_opensearch import files
from tests.unit.test_stacks import changed, example, template


def seeds(name: str, replicas: int) -> list[str]:
    told = YAML(typ="safe").load(files(changed(example("cassandra"), replicas=replicas))[f"{name}.yaml"])
    listed: str = told["seed_provider"][0]["parameters"][0]["seeds"]
    return [seed.removesuffix(".db.internal") for seed in listed.split(",")]


def test_seeds_are_the_first_of_each_zone_and_stay_so_with_more_members() -> None:
    assert seeds("events-5", 6) == seeds("events-5", 13) == ["events-0", "events-1", "events-2"]


def test_f14_no_member_but_the_first_is_its_own_seed_or_it_would_not_fetch_what_is_there() -> None:
    assert seeds("events-0", 1) == ["events-0"]
    assert seeds("events-1", 3) == ["events-0", "events-2"]


def test_another_number_of_members_restarts_nobody() -> None:
    assert template(changed(example("cassandra"), replicas=1)) == template(changed(example("cassandra"), replicas=13))


@pytest.mark.parametrize(
    ("member", "empty", "up", "says"),
    [
        ("events-0", True, [], "cassandra -f"),
        ("events-0", True, ["events-2"], "the volume of events-0 is empty, but events-2.db.internal serves"),
        ("events-0", False, ["events-2"], "cassandra -f"),
        ("events-2", True, ["events-1"], "cassandra -f"),
        ("events-2", True, ["events-0"], "events-1.db.internal has to be in the ring before events-2"),
        ("events-2", False, [], "cassandra -f"),
    ],
)
def test_one_joins_at_a_time_and_nobody_begins_a_second_ring(tmp_path: Path, member: str, empty: bool, up: list[str], says: str) -> None:
    for name in ("data", "etc", "up", "bin"):
        (tmp_path / name).mkdir()
    for name, text in files(changed(example("cassandra"), replicas=3)).items():
        here = text.replace(workload.CONFIG_PATH, str(tmp_path / "etc")).replace("/var/lib/cassandra", str(tmp_path))
        here = here.replace('(exec 3<>"/dev/tcp/$1/9042") 2>/dev/null', f'[[ -e "{tmp_path}/up/$1" ]]').replace("sleep 5", "exit")
        (tmp_path / "etc" / name).write_text(here)
    for one in up:
        (tmp_path / "up" / f"{one}.db.internal").touch()
    if not empty:
        (tmp_path / "data" / "system").mkdir()
    entrypoint = tmp_path / "bin" / "docker-entrypoint.sh"
    entrypoint.write_text('#!/bin/sh\necho "$@"\n')
    entrypoint.chmod(0o755)
    known = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "MEMBER": member, "FQDN": f"{member}.db.internal"}
    told = subprocess.run(["bash", tmp_path / "etc" / "start.sh"], env=known, capture_output=True, text=True, check=False)
    assert told.stdout.startswith(says), told


@pytest.mark.parametrize(("answer", "ready"), [(b"\x84\0\0\0\x06\0\0\0\0", True), (b"\x84\0\0\0\x00\0\0\0\0", False), (b"", False)])
def test_a_member_is_ready_once_it_says_what_it_speaks(answer: bytes, ready: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked: list[bytes] = []
        answering = threading.Thread(target=_answer, args=(server, answer, asked))
        answering.start()
        probe = template(example("cassandra"))["spec"]["containers"][0]["readinessProbe"]["exec"]["command"]
        script = probe[-1].replace("/9042", f"/{server.getsockname()[1]}")
        ended = subprocess.run(["bash", "-c", script], env={"FQDN": "127.0.0.1", "PATH": "/usr/bin:/bin"}, check=False)
        answering.join()
    assert (ended.returncode == 0, asked) == (ready, [b"\x04\0\0\0\x05\0\0\0\0"])


def _answer(server: socket.socket, answer: bytes, asked: list[bytes]) -> None:
    client, _ = server.accept()
    with client:
        asked.append(client.recv(9))
        client.sendall(answer)
