"""PostgreSQL under Patroni: what is rendered, what its members are asked, and what follows from what they say."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.model.initialise import Next, Script
from reconciler.resources import workload
from stacks import postgresql
from tests.unit.test_stacks import ENVIRONMENT, changed, example, rendered

ROOT = Path(__file__).parents[2]
SERVICE = example("postgresql")
MARK = postgresql.configuration(SERVICE)["postgresql"]["parameters"]["reconciler.configuration"]
NAMES = ["orders-0", "orders-1", "orders-2"]


# --- what is rendered


def config(**fields: Any) -> dict[str, Any]:
    """patroni.yml as Patroni's own reader finds it: YAML 1.1."""
    found = rendered(changed(SERVICE, **fields))["kubernetes/lab/orders/ConfigMap/default/orders-config"].fields
    read: dict[str, Any] = yaml.safe_load(found["data"]["patroni.yml"])
    return read


def pod(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = rendered(changed(SERVICE, **fields))["kubernetes/lab/orders/StatefulSet/default/orders"].fields["spec"][
        "template"
    ]
    return found


def test_options_reach_patroni_as_what_they_are() -> None:
    options = {"parameters": {"work_mem": "16MB", "jit": False, "random_page_cost": 1.1, "search_path": "no, 'a' \\ 1e3"}}
    told = config(options={**options, "synchronousMode": "quorum", "sharedBuffers": "1Gi"})["bootstrap"]["dcs"]
    parameters = told["postgresql"]["parameters"]
    assert {name: parameters[name] for name in options["parameters"]} == options["parameters"]
    assert (parameters["shared_buffers"], parameters["max_connections"], told["synchronous_mode"]) == ("1048576kB", 100, "quorum")


def test_whoever_comes_over_the_network_needs_a_password() -> None:
    rules = [line.split() for line in config()["postgresql"]["pg_hba"]]
    assert rules
    assert {rule[-1] for rule in rules if rule[0] != "local"} == {"scram-sha-256"}
    assert [rule for rule in rules if rule[0] == "local"] == [
        ["local", "all", "postgres", "peer"],
        ["local", "all", "all", "scram-sha-256"],
    ]
    assert config()["postgresql"]["parameters"]["password_encryption"] == "scram-sha-256"


def test_a_journal_takes_the_write_ahead_log_of_those_who_begin_and_of_those_who_copy() -> None:
    with_one, without = config(), config(volumes={"data": {"size": "1Gi"}})
    assert {"waldir": "/journal/pg_wal"} in with_one["bootstrap"]["initdb"]
    assert {"waldir": "/journal/pg_wal"} in with_one["postgresql"]["basebackup"]
    assert "waldir" not in json.dumps(without)


def test_what_patroni_changes_by_itself_restarts_no_pod() -> None:
    assert pod(options={"maxConnections": 300}) == pod(options={"maxConnections": 200})
    assert pod(volumes={"data": {"size": "1Gi"}}) != pod()


def test_a_member_with_an_address_of_its_own_listens_there_only() -> None:
    of = {one["name"]: one.get("value") for one in pod(addresses="private")["spec"]["containers"][0]["env"]}
    assert (of["PATRONI_POSTGRESQL_LISTEN"], of["PATRONI_RESTAPI_LISTEN"]) == ("$(FQDN):5432", "$(FQDN):8008")
    assert not any("LISTEN" in one["name"] for one in pod()["spec"]["containers"][0]["env"])


def test_members_may_write_what_is_patronis_and_no_more() -> None:
    role = rendered(SERVICE)["kubernetes/lab/orders/Role/default/orders"].fields
    writing = [rule for rule in role["rules"] if "patch" in rule["verbs"]]
    kept = [f"orders.patroni-{what}" for what in ("config", "failover", "leader", "sync")]
    assert [(rule["resources"], rule["resourceNames"]) for rule in writing] == [(["configmaps"], kept), (["pods"], NAMES)]
    assert pod()["spec"]["serviceAccountName"] == "orders"
    assert pod()["metadata"]["labels"]["cluster-name"] == config()["scope"] == "orders.patroni"


def test_no_configmap_of_patronis_has_the_name_of_one_of_ours() -> None:
    role = rendered(SERVICE)["kubernetes/lab/orders/Role/default/orders"].fields
    theirs = {name for rule in role["rules"] for name in rule.get("resourceNames", ())}
    ours = {id.rsplit("/", 1)[1] for id in rendered(SERVICE) if "/ConfigMap/" in id}
    assert ours
    assert not theirs & ours
    assert all("." in name for name in theirs - set(NAMES))  # a dot is in no service's name


@pytest.mark.parametrize("password", ["plain", 'it\'s: "#{x}" \\ % $(id) `id`', "no", "1e3", " a ", "ключ 🔑", "tab\there", "-", "\x7f"])
def test_any_password_reaches_patroni_as_it_is(tmp_path: Path, password: str) -> None:
    secrets, own, shared = (tmp_path / name for name in ("secrets", "own", "shared"))
    for folder in (secrets, own, shared):
        folder.mkdir()
    for name in ("superuser", "replication", "rewind", "rest"):
        (secrets / name).write_text(f"{password}\n", encoding="utf-8")
    script = next(one for one in pod()["spec"]["initContainers"] if one["name"] == "passwords")["command"][2]
    for path, folder in ((workload.SECRETS_PATH, secrets), (workload.OWN_PATH, own), (workload.CONFIG_PATH, shared)):
        script = script.replace(path, str(folder))
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    subprocess.run(["bash", "-ec", script], env=environment, check=True)
    assert ((own / "passwords.yml").stat().st_mode & 0o777, (own / "patroni.yml").readlink()) == (0o600, shared / "patroni.yml")
    told = yaml.safe_load((own / "passwords.yml").read_text(encoding="utf-8"))
    assert told["postgresql"]["authentication"] == {name: {"password": password} for name in ("superuser", "replication", "rewind")}
    assert told["restapi"]["authentication"] == {"username": "patroni", "password": password}


# --- what follows from what members say


def said(**changes: Mapping[str, Any]) -> dict[str, Any]:
    """Three members that are well, but for *changes* by ordinal (m0, m1, m2)."""
    well = {"timeline": 2, "pending": False, "rest": "closed", "login": "closed", "configuration": MARK, "age": 60.0}
    of = {name: {**well, "role": "replica", "state": "streaming"} for name in NAMES}
    of["orders-1"] |= {"role": "primary", "state": "running"}
    for name, change in changes.items():
        of[f"orders-{name[1:]}"].update(change)
    return {"members": of, "stored": True}


def following(found: Mapping[str, Any]) -> Next:
    return postgresql.initialise(SERVICE, ENVIRONMENT).next(found)


def test_members_that_are_well_lack_nothing() -> None:
    assert following(said()) is None


@pytest.mark.parametrize(
    ("found", "lacking"),
    [
        ({}, "one member leads"),
        (said(m1={"role": "replica"}), "one member leads"),
        (said(m0={"role": "primary"}), "one member leads (now: orders-0, orders-1)"),
        (said(m2={"state": "starting"}), "orders-2 streams from orders-1"),
        (said(m2={"state": "in archive recovery"}), "orders-2 streams from orders-1"),
        (said(m0={"timeline": 1}), "orders-0 streams from orders-1"),
        (said(m2={"login": "open"}), "orders-2 refuses who has no password"),
        (said(m1={"login": "wrong"}), "orders-1 takes the password"),
        (said(m1={"login": "silent"}), "orders-1 answers"),
        (said(m0={"rest": "open"}), "orders-0 refuses who would change its configuration without the password"),
        (said(m1={"rest": "silent"}), "orders-1 answers"),
        (said(m2={"configuration": "former"}), "orders-2 has loaded its configuration"),
        (said(m2={"age": 1.0}), "orders-2 has loaded its configuration"),
    ],
)
def test_what_only_time_or_a_person_mends_is_said(found: Mapping[str, Any], lacking: str) -> None:
    assert following(found) == lacking


def test_a_configuration_that_patroni_has_not_is_given_to_it_and_what_waits_for_a_restart_gets_one() -> None:
    write = following({**said(m2={"configuration": "former"}), "stored": False})
    restart = following(said(m2={"pending": True}))
    assert isinstance(write, Script)
    assert isinstance(restart, Script)
    assert (" write " in write.text, " restart " in restart.text) == (True, True)
    assert isinstance(following(said(m2={"pending": True, "age": 1.0})), str)  # not before it is clear who else waits


def test_another_configuration_is_another_question() -> None:
    former, other = (postgresql.initialise(changed(SERVICE, options={"maxConnections": n}), ENVIRONMENT).look.text for n in (100, 200))
    assert former != other
    facts = json.loads(shlex.split(former.splitlines()[0].removeprefix("said=$(").partition(") && ")[0])[-1])
    assert facts["hosts"]["orders-2"] == "orders-2.db.internal"
    assert facts["configuration"]["postgresql"]["parameters"]["max_connections"] == 100


# --- asking, with Patroni's API and psql in the place of which others stand


Answer = Callable[[str, str, str | None, bytes], tuple[int, Any]]


class Server(ThreadingHTTPServer):
    """One whose clients may leave as soon as they know enough."""

    def handle_error(self, *_: Any) -> None:
        assert isinstance(sys.exc_info()[1], ConnectionError)


class Patroni:
    """An API that answers as *answer* says: of method, path, who asks and what is sent."""

    def __init__(self, answer: Answer) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                code, value = answer(self.command, self.path, self.headers.get("Authorization"), body)
                text = json.dumps(value).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_POST = do_PATCH = do  # noqa: N815 - their names are http.server's

            def log_message(self, *_: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


WELL = {"role": "primary", "state": "running", "timeline": 1}


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], int]]:
    made: list[Patroni] = []

    def one(answer: Answer) -> int:
        made.append(Patroni(answer))
        return made[-1].port

    yield one
    for patroni in made:
        patroni.close()


def ask(folder: Path, does: str, port: int, psql: str, configuration: Any = None, **more: Any) -> dict[str, Any]:
    """What runner/patroni.py answers of one member, where psql is the shell script *psql*."""
    (folder / "psql").write_text(f"#!/bin/sh\n{psql}\n")
    (folder / "psql").chmod(0o755)
    for name in ("superuser", "rest"):
        (folder / name).write_text("sesame\n")
    text = (ROOT / "runner" / "patroni.py").read_text().replace(workload.SECRETS_PATH, str(folder)).replace("8, 4.0", "8, 0.0")
    facts = {"hosts": {"orders-0": "127.0.0.1"}, "rest": port, "configuration": configuration, **more}
    command = [sys.executable, "-I", "-c", text, does, json.dumps(facts)]
    ended = subprocess.run(command, env={"PATH": f"{folder}:/usr/bin:/bin"}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


CLOSED = 'if [ "$PGPASSWORD" = sesame ]; then echo "abc|7"; else echo "psql: error: fe_sendauth: no password supplied" >&2; exit 2; fi'
LOGINS = {
    "closed": CLOSED,
    "open": 'echo "abc|7"',
    "wrong": 'echo "FATAL:  password authentication failed for user \\"postgres\\"" >&2; exit 2',
    "silent": 'echo "could not translate host name" >&2; exit 2',
}


def guarded(method: str, path: str, who: str | None, _body: bytes) -> tuple[int, Any]:
    """A Patroni whose API asks for a password where something would change."""
    if method != "GET" and who is None:
        return 401, "no auth header received"
    return 200, {"ttl": 30} if path == "/config" else WELL


@pytest.mark.parametrize("login", LOGINS)
def test_a_look_finds_out_who_gets_in(tmp_path: Path, serve: Callable[[Answer], int], login: str) -> None:
    found = ask(tmp_path, "look", serve(guarded), LOGINS[login], {"ttl": 30})
    one = found["members"]["orders-0"]
    assert (one["login"], one["rest"], one["role"], found["stored"]) == (login, "closed", "primary", True)
    assert one.get("configuration") == ("abc" if login in {"closed", "open"} else None)


def test_a_look_finds_out_that_everybody_may_change_the_configuration(tmp_path: Path, serve: Callable[[Answer], int]) -> None:
    found = ask(tmp_path, "look", serve(lambda *_: (200, WELL)), CLOSED, {"ttl": 31})
    assert (found["members"]["orders-0"]["rest"], found["stored"]) == ("open", False)


def test_a_member_that_is_away_is_silent(tmp_path: Path) -> None:
    one = ask(tmp_path, "look", 1, LOGINS["silent"])["members"]["orders-0"]
    assert (one["rest"], one["login"], one["role"]) == ("silent", "silent", "")


def test_the_configuration_is_given_whole_and_with_the_password(tmp_path: Path, serve: Callable[[Answer], int]) -> None:
    given: list[Any] = []

    def answer(method: str, path: str, who: str | None, body: bytes) -> tuple[int, Any]:
        if method == "PUT":
            given.append((path, who, json.loads(body)))
        return 200, WELL

    ask(tmp_path, "write", serve(answer), CLOSED, {"ttl": 31})
    assert given == [("/config", "Basic cGF0cm9uaTpzZXNhbWU=", {"ttl": 31})]


def test_a_member_of_the_generation_before_is_told_by_the_former_password(tmp_path: Path, serve: Callable[[Answer], int]) -> None:
    (tmp_path / "former-rest").write_text("open\n")
    asked: list[str | None] = []

    def answer(method: str, _path: str, who: str | None, _body: bytes) -> tuple[int, Any]:
        if method == "POST":
            asked.append(who)
            return (401, "no") if len(asked) == 1 else (200, "Successfully switched over")
        return 200, WELL

    assert ask(tmp_path, "switch", serve(answer), CLOSED, leaving=["orders-0"]) == {"left": ["orders-0"]}
    assert asked == ["Basic cGF0cm9uaTpzZXNhbWU=", "Basic cGF0cm9uaTpvcGVu"]


@pytest.mark.parametrize("waits", [True, False])
def test_who_waits_for_a_restart_is_restarted(tmp_path: Path, serve: Callable[[Answer], int], waits: bool) -> None:
    asked: list[Any] = []

    def answer(method: str, path: str, _who: str | None, body: bytes) -> tuple[int, Any]:
        if method == "POST":
            asked.append((path, json.loads(body)))
        return 200, {**WELL, "pending_restart": waits}

    ask(tmp_path, "restart", serve(answer), CLOSED)
    assert asked == [("/restart", {"restart_pending": True})] * waits


@pytest.mark.parametrize(("role", "leaving", "leads"), [("primary", True, True), ("replica", True, False), ("primary", False, True)])
def test_who_leads_and_is_to_go_has_patroni_switch_over_as_soon_as_it_can(
    tmp_path: Path, serve: Callable[[Answer], int], role: str, leaving: bool, leads: bool
) -> None:
    asked: list[Any] = []

    def answer(method: str, path: str, who: str | None, body: bytes) -> tuple[int, Any]:
        if method == "POST":
            asked.append((path, who, json.loads(body)))
            return (412, "no good candidates have been found") if len(asked) < 3 else (200, "Successfully switched over")
        return 200, {**WELL, "role": role}

    port = serve(answer)
    assert ask(tmp_path, "leader", port, CLOSED) == {"leader": "orders-0" if leads else ""}
    told = ask(tmp_path, "switch", port, CLOSED, leaving=["orders-0"] * leaving)
    assert told == {"left": ["orders-0"] if leads and leaving else []}
    assert asked == [("/switchover", "Basic cGF0cm9uaTpzZXNhbWU=", {"leader": "orders-0"})] * (3 * (leads and leaving))


@pytest.mark.parametrize("code", [200, 503])
def test_a_probe_passes_on_what_patroni_says(serve: Callable[[Answer], int], code: int) -> None:
    port = serve(lambda _method, path, *_: (code if path == "/liveness" else 404, ""))
    script = pod()["spec"]["containers"][0]["livenessProbe"]["exec"]["command"][2].replace("/8008", f"/{port}")
    assert subprocess.run(["bash", "-c", script], capture_output=True, check=False).returncode == int(code != 200)
