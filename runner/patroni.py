"""Asks PostgreSQL's members how they are, and tells Patroni what they lack. Runs in their own image: Python 3.10, psql, and nothing else.

Called `patroni.py DOES FACTS`: *does* is a function below, *facts* JSON of whom to ask. What it prints is the answer of a look
(`stacks/postgresql.py` decides by it). Passwords are files; they are on no command line.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECRETS = Path("/etc/service-secrets")
_SQL = "SELECT current_setting('reconciler.configuration', true), round(extract(epoch FROM clock_timestamp() - pg_conf_load_time()))"
_SECONDS = 5
_UNTIL_RESTARTED = 300
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


def look(facts: Facts) -> dict[str, Any]:
    """How each member is, and the configuration that all share, as Patroni has it."""
    with ThreadPoolExecutor(len(facts.hosts)) as pool:
        members = dict(zip(facts.hosts, pool.map(lambda host: _member(facts, host), facts.hosts.values()), strict=True))
    stored = next((found for host in facts.hosts.values() if (found := _get(facts, host, "config")) is not None), None)
    return {"members": members, "stored": stored == facts.configuration}


def write(facts: Facts) -> dict[str, Any]:
    """Give Patroni the configuration that is declared, whole: what it has besides goes."""
    for host in facts.hosts.values():
        if _leads(facts, host):
            _call(facts, host, "config", "PUT", facts.configuration)
            return {"written": host}
    raise SystemExit("no member leads, so there is nobody to give the configuration to")


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
    entered = _psql(facts, host, _password("superuser"))
    if entered.returncode:
        return {**known, "login": "wrong" if "authentication failed" in entered.stderr else "silent"}
    configuration, _, age = entered.stdout.strip().partition("|")
    refused = "no password supplied" in _psql(facts, host, "").stderr
    return {**known, "login": "closed" if refused else "open", "configuration": configuration, "age": float(age or 0)}


def _psql(facts: Facts, host: str, password: str) -> subprocess.CompletedProcess[str]:
    """What psql ends with, and says, in the role of the superuser."""
    own = {"PGPASSFILE": "/dev/null", "PGCONNECT_TIMEOUT": str(_SECONDS), "LC_ALL": "C", **({"PGPASSWORD": password} if password else {})}
    command = ["psql", "-wXAtq", "-h", host, "-p", str(facts.port), "-U", facts.user, "-d", "postgres", "-c", _SQL]
    try:
        return subprocess.run(
            command, env={**os.environ, **own}, capture_output=True, text=True, timeout=2 * _SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", "no answer")


def _refusal(facts: Facts, host: str) -> str:
    """Whether somebody without a password may change the configuration; an empty change is none."""
    try:
        _call(facts, host, "config", "PATCH", {}, password="")
    except urllib.error.HTTPError as error:
        return "closed" if error.code == 401 else "open"  # noqa: PLR2004 - unauthorised
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
    headers = {"Content-Type": "application/json"}
    secret = _password("rest") if password is None else password
    if secret:
        headers["Authorization"] = "Basic " + base64.b64encode(f"patroni:{secret}".encode()).decode()
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{host}:{facts.rest}/{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=within) as answer:  # noqa: S310
        found: bytes = answer.read()
        return found


def _password(name: str) -> str:
    return (SECRETS / name).read_text().rstrip("\n")


if __name__ == "__main__":
    _does = {"look": look, "write": write, "restart": restart, "leader": leader, "switch": switch}[sys.argv[1]]
    print(json.dumps(_does(Facts(**json.loads(sys.argv[2]))), separators=(",", ":")))  # noqa: T201 - its answer
