"""Passwords that change under real PostgreSQL servers, asked and told by the very scripts of its Jobs: who streams goes on all the way."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.model.initialise import Script
from reconciler.model.service import Service
from reconciler.resources import cloud, workload
from stacks import postgresql
from tests.unit.test_stacks import ENVIRONMENT, changed, example, rendered

BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"))), Path("/nowhere"))
if not (BIN / "initdb").exists() or os.getuid():
    pytest.skip("there is no PostgreSQL, or nobody who may be its user", allow_module_level=True)

ROOT = Path(__file__).parents[2]
NAMES = ("orders-0", "orders-1")
HOSTS = dict(zip(NAMES, ("127.0.0.121", "127.0.0.122"), strict=True))
SECRETS = {n: {name: f"{name}-{n}-secret" for name in ("superuser", "replication", "rewind", "rest")} for n in range(2)}  # by generation
pytestmark = pytest.mark.timeout(180)


def service(generation: int) -> Service:
    return changed(example("postgresql"), replicas=2, rotation=generation)


def patroni_yml(generation: int) -> dict[str, Any]:
    found = rendered(service(generation))["kubernetes/lab/orders/ConfigMap/default/orders-config"].fields
    read: dict[str, Any] = yaml.safe_load(found["data"]["patroni.yml"])
    return read


class Api(BaseHTTPRequestHandler):
    """As much of Patroni's API as says who leads, which is the first member."""

    def do_GET(self) -> None:
        text = json.dumps({"role": "primary" if self.server.server_address[0] == HOSTS["orders-0"] else "replica"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


@dataclass
class Pair:
    """A primary and its standby, each with a folder and an address of its own, which come to each other as a generation says."""

    folder: Path
    port: int
    rest: int
    own: dict[str, Any] = field(default_factory=dict)  # as whom servers run
    former: bool = True  # whether the Secret of the generation before is there

    def run(self, program: str, *words: str | Path, password: str = "", check: bool = True) -> str:
        environment = {"PATH": f"{BIN}:/usr/bin:/bin", "PGPASSFILE": "/dev/null", **({"PGPASSWORD": password} if password else {})}
        command = [program, *map(str, words)]
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60, cwd="/", **self.own, stdin=subprocess.DEVNULL
        )
        assert not check or ended.returncode == 0, ended.stderr
        return ended.stdout.strip() if ended.returncode == 0 else ended.stderr

    def found(self) -> None:
        (self.folder / "first").write_text(SECRETS[0]["superuser"])
        self.run("initdb", "-A", "scram-sha-256", "-U", "postgres", "--pwfile", self.folder / "first", "-D", self.folder / "orders-0", "-N")
        self.start("orders-0", 0)
        users = patroni_yml(0)["postgresql"]["authentication"]
        for file, right in {"replication": "REPLICATION", "rewind": ""}.items():  # as Patroni makes them when it founds a cluster
            sql = f"CREATE ROLE {users[file]['username']} LOGIN {right} PASSWORD '{SECRETS[0][file]}'"
            self.run("psql", "-h", self.folder, "-p", str(self.port), "-U", "postgres", "-d", "postgres", "-qc", sql)
        self.copy()
        self.start("orders-1", 0)

    def copy(self) -> None:
        as_whom = ("-h", HOSTS["orders-0"], "-p", str(self.port), "-U", "replicator")
        self.run("pg_basebackup", *as_whom, "-D", self.folder / "orders-1", "-c", "fast", password=SECRETS[0]["replication"])

    def start(self, name: str, generation: int) -> None:
        """As Patroni starts a server: its own pg_hba.conf, and, where it follows, as whom it comes."""
        data, told = self.folder / name, patroni_yml(generation)["postgresql"]
        self.stop(name)
        (data / "pg_hba.conf").write_text("\n".join(told["pg_hba"]) + "\n")
        user = told["authentication"]["replication"]["username"]
        origin = f"host={HOSTS['orders-0']} port={self.port} user={user} password={SECRETS[generation]['replication']}"
        settings = {
            "listen_addresses": HOSTS[name],
            "port": self.port,
            "unix_socket_directories": self.folder if name == "orders-0" else "",
            "primary_conninfo": origin,
            "wal_retrieve_retry_interval": "200ms",
            "fsync": "off",
            "log_statement": "all",
        }
        (data / "postgresql.auto.conf").write_text("".join(f"{one} = '{value}'\n" for one, value in settings.items()))
        if name != "orders-0":
            (data / "standby.signal").touch()
        self.run("pg_ctl", "start", "-w", "-D", data, "-l", self.folder / f"{name}.log")

    def stop(self, name: str) -> None:
        if (self.folder / name / "postmaster.pid").exists():
            self.run("pg_ctl", "stop", "-m", "fast", "-D", self.folder / name)

    def streaming(self) -> list[str]:
        """As whom there is somebody who streams, within a while."""
        end, found = time.monotonic() + 20, ""
        while not found and time.monotonic() < end:
            found = self.sql("SELECT usename FROM pg_stat_replication WHERE state = 'streaming'")
            time.sleep(0.1)
        return found.splitlines()

    def sql(self, text: str) -> str:
        """What the first server answers who comes over its socket, as Patroni does: without a password."""
        return self.run("psql", "-XAtq", "-h", self.folder, "-p", str(self.port), "-U", "postgres", "-d", "postgres", "-c", text)

    def enters(self, name: str, user: str, password: str) -> bool:
        as_whom = ("-h", HOSTS[name], "-p", str(self.port), "-U", user, "-d", "postgres", "-wXAtqc", "SELECT 'in'")
        return self.run("psql", *as_whom, password=password, check=False) == "in"

    def ask(self, script: Script) -> dict[str, Any]:
        """What a Job of the later generation says."""
        secrets = self.folder / "secrets"
        secrets.mkdir(exist_ok=True)
        for file, password in SECRETS[1].items():
            (secrets / file).write_text(password)
        for file in ("superuser", "rest"):
            (secrets / f"former-{file}").unlink(missing_ok=True)
            if self.former:
                (secrets / f"former-{file}").write_text(SECRETS[0][file])
        words = shlex.split(script.text.removeprefix("said=$(").partition(") && say")[0])
        facts = json.loads(words[3])
        text = (ROOT / "runner" / "patroni.py").read_text().replace(workload.SECRETS_PATH, str(secrets))
        facts |= {"hosts": HOSTS, "port": self.port, "rest": self.rest}
        command = [sys.executable, "-I", "-c", text, words[2], json.dumps(facts)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": f"{BIN}:/usr/bin:/bin"})
        assert ended.returncode == 0, ended.stderr
        return dict(json.loads(ended.stdout))


def free_port() -> int:
    while True:
        with socket.create_server((HOSTS["orders-0"], 0)) as one:
            port = int(one.getsockname()[1])
        try:
            socket.create_server((HOSTS["orders-1"], port)).close()
        except OSError:
            continue
        return port


@pytest.fixture
def pair() -> Iterator[Pair]:
    user = pwd.getpwnam("postgres")
    folder = Path(tempfile.mkdtemp(prefix="pair-"))
    shutil.chown(folder, user.pw_uid, user.pw_gid)
    made = Pair(folder, free_port(), free_port(), {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []})
    apis = [ThreadingHTTPServer((host, made.rest), Api) for host in HOSTS.values()]
    for api in apis:
        threading.Thread(target=api.serve_forever, daemon=True).start()
    try:
        made.found()
        yield made
    finally:
        for name in reversed(NAMES):
            made.stop(name)
        for api in apis:
            api.shutdown()
            api.server_close()
        shutil.rmtree(folder)


def test_who_streams_goes_on_all_the_way_and_the_former_passwords_are_refused_at_the_end(pair: Pair) -> None:
    """Trap 15, 16: each step twice, as one whose end nobody heard of is; nothing secret is in what the servers log of statements."""
    assert cloud.fqdn(ENVIRONMENT, NAMES[0])  # names are the fixture's to replace
    before = postgresql.rotate(service(1), ENVIRONMENT).before
    wanted = postgresql.initialise(service(1), ENVIRONMENT)
    assert pair.streaming() == ["replicator"]
    said = pair.ask(before.look)
    assert said == {"members": dict.fromkeys(NAMES, "late")}
    give = before.next(said)
    assert isinstance(give, Script)
    for _ in range(2):
        pair.ask(give)
    caught_up(pair, before)

    pair.start("orders-1", 1)  # who has restarted comes by the next secrets, and who has not by the former ones
    assert pair.streaming() == ["replicator_1"]
    pair.start("orders-1", 0)
    assert pair.streaming() == ["replicator"]
    pair.start("orders-1", 1)
    pair.start("orders-0", 1)
    assert pair.streaming() == ["replicator_1"]
    assert pair.enters("orders-0", "postgres", SECRETS[0]["superuser"])
    found = pair.ask(wanted.look)["members"]
    assert {name: (one["entry"], one["former"], one["login"]) for name, one in found.items()} == dict.fromkeys(
        NAMES, ("ready", True, "closed")
    )

    retire = Script("", f"{postgresql._ask('retire', hosts={}, **postgresql._roles(service(1)))}\n")
    for _ in range(2):
        pair.ask(retire)
    assert pair.sql("SELECT rolname FROM pg_roles WHERE rolcanlogin ORDER BY 1").split() == ["postgres", "replicator_1", "rewind_1"]
    for name in NAMES:
        until(lambda name=name: pair.enters(name, "postgres", SECRETS[1]["superuser"]))  # type: ignore[misc]
        assert not pair.enters(name, "postgres", SECRETS[0]["superuser"])
        assert not pair.enters(name, "rewind", SECRETS[0]["rewind"])
    for pair.former in (True, False):
        assert [one["former"] for one in pair.ask(wanted.look)["members"].values()] == [False, False]
    logs = "".join((pair.folder / f"{name}.log").read_text() for name in NAMES)
    assert "ALTER ROLE" in logs
    assert not [one for one in (*SECRETS[1].values(), SECRETS[0]["superuser"]) if one in logs]


def caught_up(pair: Pair, before: Any) -> None:
    until(lambda: pair.ask(before.look) == {"members": dict.fromkeys(NAMES, "ready")})


def test_a_role_that_owns_something_stays_and_lets_nobody_in(pair: Pair) -> None:
    before = postgresql.rotate(service(1), ENVIRONMENT).before
    pair.ask(before.next(pair.ask(before.look)))  # type: ignore[arg-type]
    pair.sql("GRANT CREATE ON SCHEMA public TO rewind; SET ROLE rewind; CREATE TABLE kept (number int)")
    pair.ask(Script("", f"{postgresql._ask('retire', hosts={}, **postgresql._roles(service(1)))}\n"))
    assert pair.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'rewind'") == "f"
    assert pair.sql("SELECT count(*) FROM kept") == "0"


def until(what: Any) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.1)
