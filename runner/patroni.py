"""Asks PostgreSQL's members how they are, and tells Patroni what they lack. Runs in their own image: Python 3.10, psql, and nothing else.

Called `patroni.py DOES FACTS`: *does* is a function below, *facts* JSON of whom to ask. What it prints is the answer of a look
(`stacks/postgresql.py` decides by it). Passwords are files; they are on no command line.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECRETS = Path("/etc/service-secrets")
_SQL = "SELECT current_setting('reconciler.configuration', true), round(extract(epoch FROM clock_timestamp() - pg_conf_load_time()))"
_REFUSED = ("authentication failed", "not permitted", "no pg_hba.conf entry")
_ROUNDS = 4096  # of SCRAM: PostgreSQL's own default
_READING = [f"pg_read_binary_file({more})" for more in ("text", "text, bigint, bigint, boolean")]  # by whoever rewinds
_READING += ["pg_ls_dir(text, boolean, boolean)", "pg_stat_file(text, boolean)"]
_SECONDS = 5
_UNTIL_RESTARTED = 300
_UNAUTHORISED = 401
_IMPOSSIBLE = 412  # what Patroni answers while nobody could take over
_TRIES, _PAUSE = 8, 4.0  # seconds between two


@dataclass(frozen=True)
class Facts:
    """Where the members of a service answer, by name, and what is declared of their configuration."""

    hosts: Mapping[str, str]
    user: str = "postgres"
    port: int = 5432
    rest: int = 8008
    configuration: Mapping[str, Any] | None = None
    leaving: Sequence[str] = ()  # names: who is to lead no more
    roles: Mapping[str, str] = field(default_factory=dict)  # as whom members come to each other, by the file of its password
    former: Sequence[str] = ()  # as whom they came in generations of secrets before


def look(facts: Facts) -> dict[str, Any]:
    """How each member is, and the configuration that all share, as Patroni has it."""
    members = _each(facts, _member)
    stored = next((found for host in facts.hosts.values() if (found := _get(facts, host, "config")) is not None), None)
    return {"members": members, "stored": stored == facts.configuration}


def keys(facts: Facts) -> dict[str, Any]:
    """Whether each member lets the others in by the secrets of this generation: ready, late or silent."""
    return {"members": _each(facts, _entry)}


def give(facts: Facts) -> dict[str, Any]:
    """Make those as whom members come to each other from this generation on, or give them their passwords."""
    streams, rewinds = facts.roles["replication"], facts.roles["rewind"]
    made = [f"DO $$BEGIN IF to_regrole('{one}') IS NULL THEN CREATE ROLE {one}; END IF; END$$" for one in (streams, rewinds)]
    given = [f"ALTER ROLE {role} LOGIN PASSWORD '{_verifier(_password(file))}'" for file, role in facts.roles.items()]
    may = [f"ALTER ROLE {streams} REPLICATION", *(f"GRANT EXECUTE ON FUNCTION pg_catalog.{one} TO {rewinds}" for one in _READING)]
    return {"given": _command(facts, ["SET synchronous_commit = local", *made, *given, *may])}


def retire(facts: Facts) -> dict[str, Any]:
    """Let nobody in by the secrets of generations before. A role that owns something stays, and cannot log in.

    A superuser's password that is somebody's own has none before, and stays as it is.
    """
    own = [f"ALTER ROLE {facts.user} PASSWORD '{_verifier(_password('superuser'))}'"] if _password("former-superuser") else []
    shut = [
        f"DO $$BEGIN IF to_regrole('{one}') IS NOT NULL THEN ALTER ROLE {one} NOLOGIN NOREPLICATION PASSWORD NULL; END IF; END$$"
        for one in facts.former
    ]
    gone = [
        f"DO $$BEGIN REVOKE ALL ON FUNCTION {', '.join(_READING)} FROM {one}; DROP ROLE {one}; "
        "EXCEPTION WHEN undefined_object OR dependent_objects_still_exist THEN NULL; END$$"
        for one in facts.former
    ]
    return {"retired": _command(facts, [*own, *shut, *gone])}


def write(facts: Facts) -> dict[str, Any]:
    """Give Patroni the configuration that is declared, whole: what it has besides goes."""
    host = _primary(facts)
    _call(facts, host, "config", "PUT", facts.configuration)
    return {"written": host}


def restart(facts: Facts) -> dict[str, Any]:
    """Restart PostgreSQL where its configuration waits for that, the primary last."""
    told = {host: _get(facts, host, "patroni") or {} for host in facts.hosts.values()}
    waiting = [host for host, status in told.items() if status.get("pending_restart")]
    for host in sorted(waiting, key=lambda host: told[host].get("role") == "primary"):
        _call(facts, host, "restart", "POST", {"restart_pending": True}, within=_UNTIL_RESTARTED)
    return {"restarted": waiting}


def leader(facts: Facts) -> dict[str, Any]:
    """Who leads; "" where nobody says so of itself."""
    return {"leader": next((name for name, host in facts.hosts.items() if _leads(facts, host)), "")}


def switch(facts: Facts) -> dict[str, Any]:
    """Have another take over from whoever of *facts.leaving* leads, once it has all that was acknowledged. Patroni chooses whom."""
    leading = [name for name in facts.leaving if _leads(facts, facts.hosts[name])]
    for name in leading:
        _switch(facts, name)
    return {"left": leading}


def _switch(facts: Facts, leader: str) -> None:
    """A standby that was away a moment ago cannot take over before Patroni has seen that it has everything."""
    for left in reversed(range(_TRIES)):
        try:
            _call(facts, facts.hosts[leader], "switchover", "POST", {"leader": leader}, within=_UNTIL_RESTARTED)
        except urllib.error.HTTPError as error:
            if error.code != _IMPOSSIBLE or not left:
                raise SystemExit(f"Patroni does not switch over: {error.read().decode(errors='replace')}") from error
            time.sleep(_PAUSE)
        else:
            return


def _primary(facts: Facts) -> str:
    """Where who leads answers."""
    for host in facts.hosts.values():
        if _leads(facts, host):
            return host
    raise SystemExit("no member leads, so there is nobody to tell")


def _leads(facts: Facts, host: str) -> bool:
    return (_get(facts, host, "patroni") or {}).get("role") == "primary"


def _member(facts: Facts, host: str) -> dict[str, Any]:
    """What one member says of itself; `login` and `rest` are open, closed, wrong or silent."""
    status = _get(facts, host, "patroni") or {}
    known = {
        "role": status.get("role", ""),
        "state": status.get("replication_state") or status.get("state", ""),
        "timeline": status.get("timeline", 0),
        "pending": bool(status.get("pending_restart")),
        "rest": _refusal(facts, host),
    }
    entered = _enter(facts, host, _SQL)
    if entered.returncode:
        return {**known, "login": "wrong" if "authentication failed" in entered.stderr else "silent"}
    configuration, _, age = entered.stdout.strip().partition("|")
    refused = "no password supplied" in _psql(facts, host, "").stderr
    told = {"entry": _entry(facts, host), "former": _lets_former_in(facts, host)} if facts.roles else {}
    return {**known, **told, "login": "closed" if refused else "open", "configuration": configuration, "age": float(age or 0)}


def _each(facts: Facts, asked: Callable[[Facts, str], Any]) -> dict[str, Any]:
    """What is *asked* of all members at once, by name."""
    with ThreadPoolExecutor(len(facts.hosts)) as pool:
        return dict(zip(facts.hosts, pool.map(lambda host: asked(facts, host), facts.hosts.values()), strict=True))


def _entry(facts: Facts, host: str) -> str:
    """Who streams is let in by a rule of its own, so it has to be asked for as it is."""
    streaming = {"sql": "IDENTIFY_SYSTEM", "database": "dbname=postgres replication=true"}
    for file, role in facts.roles.items():
        ended = _psql(facts, host, _password(file), user=role, **(streaming if file == "replication" else {}))
        if ended.returncode:
            return "late" if any(word in ended.stderr for word in _REFUSED) else "silent"
    return "ready"


def _lets_former_in(facts: Facts, host: str) -> bool:
    former = _password("former-superuser")
    if former and _psql(facts, host, former).returncode == 0:
        return True
    named = ", ".join(f"'{one}'" for one in facts.former)
    sql = f"SELECT count(*) FROM pg_roles WHERE rolcanlogin AND rolname IN ({named})"  # noqa: S608 - names of ours
    return _enter(facts, host, sql).stdout.strip() != "0"


def _command(facts: Facts, statements: Sequence[str]) -> str:
    """Have who leads do what *statements* say, each by itself; no password is in them. Returns where that was."""
    host = _primary(facts)
    ended = _enter(facts, host, ";\n".join(statements))
    if ended.returncode:
        raise SystemExit(f"{host} refuses: {ended.stderr}")
    return host


def _enter(facts: Facts, host: str, sql: str) -> subprocess.CompletedProcess[str]:
    """*sql* by the superuser, whose password may be the former one still."""
    entered = _psql(facts, host, _password("superuser"), sql)
    former = _password("former-superuser")
    return _psql(facts, host, former, sql) if former and "authentication failed" in entered.stderr else entered


def _verifier(password: str) -> str:
    """What PostgreSQL keeps of a password: so it is in no statement, and no log of statements."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS)
    client, server = (hmac.digest(salted, word, "sha256") for word in (b"Client Key", b"Server Key"))
    salt64, stored, checked = (base64.b64encode(one).decode() for one in (salt, hashlib.sha256(client).digest(), server))
    return f"SCRAM-SHA-256${_ROUNDS}:{salt64}${stored}:{checked}"


def _psql(
    facts: Facts, host: str, password: str, sql: str = _SQL, *, user: str = "", database: str = "postgres"
) -> subprocess.CompletedProcess[str]:
    """What psql ends with, and says, in the role of the superuser or another *user*."""
    own = {"PGPASSFILE": "/dev/null", "PGCONNECT_TIMEOUT": str(_SECONDS), "LC_ALL": "C", **({"PGPASSWORD": password} if password else {})}
    command = ["psql", "-wXAtq", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", str(facts.port), "-U", user or facts.user, "-d", database]
    try:
        return subprocess.run(
            command, env={**os.environ, **own}, capture_output=True, text=True, timeout=2 * _SECONDS, check=False, input=f"{sql};\n"
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", "no answer")


def _refusal(facts: Facts, host: str) -> str:
    """Whether somebody without a password may change the configuration; an empty change is none."""
    try:
        _call(facts, host, "config", "PATCH", {}, password="")
    except urllib.error.HTTPError as error:
        return "closed" if error.code == _UNAUTHORISED else "open"
    except OSError:
        return "silent"
    return "open"


def _get(facts: Facts, host: str, path: str) -> Any:
    """The JSON at *path*, whatever the status with which it comes; None where there is none."""
    try:
        return json.loads(_call(facts, host, path, "GET", None, password=""))
    except urllib.error.HTTPError as error:
        return _parsed(error.read())
    except (OSError, ValueError):
        return None


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _call(facts: Facts, host: str, path: str, method: str, body: Any, *, password: str | None = None, within: float = _SECONDS) -> bytes:
    """What *path* answers; a member whose Pod is of the generation before takes the former password."""
    former = _password("former-rest") if password is None else ""
    secret = _password("rest") if password is None else password
    try:
        return _request(facts, host, path, method, body, secret, within)
    except urllib.error.HTTPError as error:
        if error.code != _UNAUTHORISED or not former:
            raise
        return _request(facts, host, path, method, body, former, within)


def _request(facts: Facts, host: str, path: str, method: str, body: Any, secret: str, within: float) -> bytes:
    headers = {"Content-Type": "application/json"}
    if secret:
        headers["Authorization"] = "Basic " + base64.b64encode(f"patroni:{secret}".encode()).decode()
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{host}:{facts.rest}/{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=within) as answer:  # noqa: S310
        found: bytes = answer.read()
        return found


def _password(name: str) -> str:
    """Empty where there is none, as of a generation that is gone."""
    file = SECRETS / name
    return file.read_text().rstrip("\n") if file.exists() else ""


if __name__ == "__main__":
    _all = (look, keys, give, retire, write, restart, leader, switch)
    _does = {one.__name__: one for one in _all}[sys.argv[1]]
    print(json.dumps(_does(Facts(**json.loads(sys.argv[2]))), separators=(",", ":")))  # noqa: T201 - its answer
