"""How members of a PostgreSQL service begin with data that was another's: `runner/patroni_copy.py`, by its parts and as processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from runner.patroni_copy import Answer, Position, verdict
from tests.unit.test_postgresql import SERVICE
from tests.unit.test_stacks import changed, rendered

SCRIPT = Path(__file__).parents[2] / "runner" / "patroni_copy.py"
LED, STANDBY = Position(3, led=True, written=500), Position(3, led=False, written=600)


# --- who begins


@pytest.mark.parametrize(
    ("answers", "follows"),
    [
        ([LED], "begin"),
        ([LED, STANDBY, STANDBY], "begin"),
        ([STANDBY, STANDBY, LED], "copy-2 leads"),  # who led has all of its own moment, though a standby's snapshot is a moment later
        ([Position(3, led=True, written=900), Position(4, led=False, written=500), STANDBY], "copy-1 leads"),  # promoted since
        ([Position(3, led=False, written=500), STANDBY, STANDBY], "copy-1 leads"),  # of equals the first
        ([STANDBY, Position(), Position()], "begin"),
        ([Position(), Position(), Position()], "begin"),
        ([LED, None, STANDBY], "copy-1 answers: only together members know whose data goes farthest"),
        ([LED, None, None], "copy-1, copy-2 answers: only together members know whose data goes farthest"),
        ([STANDBY, "leads", None], "follow"),
        ([LED, "leads", STANDBY], "follow"),
    ],
)
def test_whose_data_goes_farthest_begins_once_all_have_said_how_far_theirs_goes(answers: list[Answer], follows: str) -> None:
    assert verdict("copy-0", {f"copy-{n}": answer for n, answer in enumerate(answers)}) == follows


# --- members as processes, with PostgreSQL's own programs in the place of which others stand


@contextmanager
def leading(host: str, port: int) -> Iterator[None]:
    """Patroni of a member that leads."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/leader" else 503)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer((host, port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


class Member:
    """A member with a volume. *data* says how far its data goes: timeline, whether it led, location; None without any."""

    def __init__(self, world: Path, ordinal: int, port: int, data: tuple[int, bool, int] | None, of: str | None = "orders") -> None:
        self.name, self.host, self.port, self.folder = f"copy-{ordinal}", f"127.0.0.{ordinal + 1}", port, world / f"copy-{ordinal}"
        for name in ("data", "config", "secrets", "bin"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "config" / "members").write_text("".join(f"copy-{n} 127.0.0.{n + 1}\n" for n in range(3)))
        (self.folder / "config" / "roles").write_text("replication replicator_2\nrewind rewind_2\n")
        for name in ("superuser", "replication", "rewind"):
            (self.folder / "secrets" / name).write_text(f"new '{name}\n")
        if of is not None:
            self.owner.write_text(of)
        if data:
            self.fill(*data)
        text = SCRIPT.read_text().replace("REST = 8008", f"REST = {port}").replace("_PAUSE = 3, 1.0", "_PAUSE = 3, 0.1")
        for path, place in (("/etc/service-secrets", "secrets"), ("/etc/service", "config"), ("/data", "data")):
            text = text.replace(f'Path("{path}")', f'Path("{self.folder / place}")')
        self.script = self.folder / "script.py"
        self.script.write_text(text)
        self.tool("postgres", f'cat >> {self.folder}/told; echo "$@" > {self.folder}/called')
        self.process: subprocess.Popen[bytes] | None = None

    def fill(self, timeline: int, led: bool, written: int) -> None:
        data = self.folder / "data" / "pgdata"
        for name in ("global", "pg_wal"):
            (data / name).mkdir(parents=True)
        (data / "global" / "pg_control").touch()
        (data / "postmaster.pid").write_text(f"{os.getpid()}\n")
        (data / "pg_wal" / f"{timeline:08X}{0:016X}").touch()
        if not led:
            (data / "standby.signal").touch()
        location = f"{written >> 32:X}/{written & 0xFFFFFFFF:X}"
        told = f"Latest checkpoint location: {location}\nLatest checkpoint's TimeLineID: 1\nMinimum recovery ending location: 0/0\n"
        self.tool("pg_controldata", f"cat << 'END'\n{told}END")

    def tool(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    @property
    def owner(self) -> Path:
        return self.folder / "data" / "service"

    @property
    def told(self) -> str:
        """What PostgreSQL was told while nobody could reach it."""
        return (self.folder / "told").read_text() if (self.folder / "told").exists() else ""

    def start(self) -> None:
        own = {"MEMBER": self.name, "LISTEN": self.host, "PATH": f"{self.folder}/bin:/usr/bin:/bin"}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-I", "-S", str(self.script)], env=own, stdout=log, stderr=log)

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    @property
    def through(self) -> bool:
        """Whether its Patroni may start."""
        return self.process is not None and self.process.poll() == 0

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


def free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


World = Callable[..., list[Member]]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made: list[Member] = []

    def members(*data: tuple[int, bool, int] | None, **how: Any) -> list[Member]:
        port = free()
        made.extend(Member(tmp_path, n, port, one, **how) for n, one in enumerate(data))
        return made

    yield members
    for one in made:
        one.kill()


def until(what: Callable[[], bool], members: list[Member]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end, {one.name: one.log for one in members}
        time.sleep(0.05)


def test_one_begins_with_the_passwords_of_its_service_and_the_others_follow_once_it_leads(world: World) -> None:
    members = world((1, False, 600), (1, True, 500), (1, False, 700))
    for one in members:
        one.start()
    best = members[1]
    until(lambda: best.through, members)
    assert best.owner.read_text() == "copy"
    told = best.told.split(";\n\n")
    assert [one for one in told if one.startswith("ALTER ROLE")] == [
        "ALTER ROLE postgres LOGIN PASSWORD 'new ''superuser' VALID UNTIL 'infinity'",
        "ALTER ROLE replicator_2 LOGIN PASSWORD 'new ''replication' VALID UNTIL 'infinity'",
        "ALTER ROLE rewind_2 LOGIN PASSWORD 'new ''rewind' VALID UNTIL 'infinity'",
        "ALTER ROLE replicator_2 REPLICATION",
    ]
    called = (best.folder / "called").read_text()
    assert "--single" in called
    assert "log_statement=none" in called
    assert "synchronous_standby_names= " in called, "a commit would wait for a standby that nobody runs"
    assert "new" not in called, "no password is on a command line"
    others = [members[0], members[2]]
    time.sleep(0.5)
    assert not [one for one in others if one.through or one.owner.read_text() != "orders"]
    with leading(best.host, best.port):
        until(lambda: all(one.through for one in others), members)
    assert [(one.told, one.owner.read_text()) for one in others] == [("", "copy")] * 2
    assert not list(best.folder.parent.glob("*/data/pgdata/postmaster.pid")), "that of a server elsewhere"


def test_a_standby_begins_where_nobody_led_and_is_none_any_more(world: World) -> None:
    members = world((1, False, 600), (1, False, 500), None)
    for one in members:
        (one.folder / "config" / "restored").touch()
        one.start()
    until(lambda: members[0].through, members)
    assert not (members[0].folder / "data" / "pgdata" / "standby.signal").exists()
    assert not members[2].through, "an empty one would begin another cluster"


def test_nobody_begins_while_a_member_is_silent_and_whoever_is_killed_the_same_one_begins(world: World) -> None:
    members = world((1, True, 500), (2, False, 400), (1, False, 700))
    for one in members[::2]:
        one.start()
    until(lambda: "copy-1 answers" in members[0].log, members)
    members[1].tool("postgres", "cat > /dev/null; echo 'FATAL:  could not write' >&2; exit 1")
    members[1].start()
    until(lambda: members[1].process is not None and members[1].process.poll() == 1, members)
    assert "could not write" in members[1].log
    assert members[1].owner.read_text() == "orders"
    members[1].tool("postgres", "sleep 30")
    members[1].start()
    until(lambda: not (members[1].folder / "data" / "pgdata" / "standby.signal").exists(), members)
    for one in members:
        one.kill()
    members[1].tool("postgres", "cat > /dev/null")
    for one in members:
        one.start()
    until(lambda: members[1].through, members)
    assert not members[0].through
    assert not members[2].through


def test_a_role_that_is_not_there_is_said_and_nothing_goes_on(world: World) -> None:
    members = world((1, True, 500), (1, False, 500), None)
    members[0].tool("postgres", "cat > /dev/null; echo 'ERROR:  role \"rewind\" does not exist' >&2")
    for one in members:
        (one.folder / "config" / "restored").touch()
        one.start()
    until(lambda: members[0].process is not None and members[0].process.poll() is not None, members)
    assert 'role "rewind" does not exist' in members[0].log
    assert members[0].owner.read_text() == "orders"


@pytest.mark.parametrize("data", [(1, True, 500), None])
def test_data_that_is_its_own_and_a_new_volume_wait_for_nobody(world: World, data: tuple[int, bool, int] | None) -> None:
    one = world(data, of="copy" if data else None)[0]
    one.start()
    until(lambda: one.through, [one])
    assert (one.told, one.owner.read_text()) == ("", "copy")


# --- what is rendered


def files(**fields: Any) -> Mapping[str, str]:
    found: Any = rendered(changed(SERVICE, **fields))["kubernetes/lab/orders/ConfigMap/default/orders-config"].fields
    return dict(found["data"])


def test_members_know_each_other_and_whether_they_begin_with_copies() -> None:
    assert files()["members"].splitlines()[2] == "orders-2 orders-2.db.internal"
    assert "restored" not in files()
    source = {"service": "ledger", "snapshotTime": "2026-01-01T00:00:00Z"}
    assert files(restoreFrom=source)["restored"] == "ledger\n"
    assert "restored" not in files(restoreFrom={"retained": True})


def test_where_data_comes_from_and_how_many_members_there_are_restarts_nobody() -> None:
    def template(**fields: Any) -> Any:
        return rendered(changed(SERVICE, **fields))["kubernetes/lab/orders/StatefulSet/default/orders"].fields["spec"]["template"]

    source = {"service": "ledger", "snapshotTime": "2026-01-01T00:00:00Z"}
    assert template() == template(restoreFrom=source) == template(replicas=5)
    (copy,) = (one for one in template()["spec"]["initContainers"] if one["name"] == "copy")
    assert {mount["mountPath"] for mount in copy["volumeMounts"]} >= {"/data", "/journal", "/etc/service", "/etc/service-secrets"}


def test_one_with_an_address_of_its_own_listens_there_only() -> None:
    def listens(**fields: Any) -> list[str]:
        found = rendered(changed(SERVICE, **fields))["kubernetes/lab/orders/StatefulSet/default/orders"].fields["spec"]["template"]["spec"]
        (copy,) = (one for one in found["initContainers"] if one["name"] == "copy")
        return [one["value"] for one in copy["env"] if one["name"] == "LISTEN"]

    assert listens() == []
    assert listens(addresses="private") == ["$(FQDN)"]
