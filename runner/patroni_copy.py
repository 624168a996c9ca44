"""Lets a PostgreSQL service begin with data that was another's: volumes made of its snapshots. Runs before Patroni, in the same image.

Called `patroni_copy.py`. A volume says whose passwords its data has (the file `service`). Members that find another's, or none, tell each
other how far their data goes. Whose goes farthest has this service's passwords set, by a server that nobody can reach, and goes on; the
others wait until somebody leads, and follow. Nobody goes on alone while a declared member is silent: its data may go farther.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

CONFIG, SECRETS, VOLUME = Path("/etc/service"), Path("/etc/service-secrets"), Path("/data")
REST = 8008
DATA = VOLUME / "pgdata"
OWNER = VOLUME / "service"
_SUPERUSER = "postgres"
_READING = (  # what whoever rewinds may do
    "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
    "pg_ls_dir(text, boolean, boolean)",
    "pg_stat_file(text, boolean)",
)
_ASKED = "/position"  # Patroni has nothing there
_SECONDS, _PAUSE = 3, 1.0
_ALONE = {  # whatever the data's own configuration says: nobody else is waited for, and a password is in no log
    "synchronous_standby_names": "",
    "default_transaction_read_only": "off",
    "lc_messages": "C",
    "log_statement": "none",
    "log_duration": "off",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
    "password_encryption": "scram-sha-256",
    "standard_conforming_strings": "on",
}


@dataclass(frozen=True, order=True)
class Position:
    """How far a member's data goes: whoever was promoted last, then who led, then what is known to be on its disk."""

    timeline: int = 0
    led: bool = False
    written: int = 0


Answer = Position | Literal["leads"] | None


def verdict(mine: str, answers: Mapping[str, Answer]) -> str:
    """`begin`, `follow`, or what is waited for, given what all members said in one round."""
    positions = {name: answer for name, answer in answers.items() if isinstance(answer, Position)}
    if "leads" in answers.values():
        return "follow"
    if silent := [name for name in answers if name not in positions]:
        return f"{', '.join(silent)} answers: only together members know whose data goes farthest"
    best = max(positions, key=lambda name: (astuple(positions[name]), -list(answers).index(name)))
    return "begin" if best == mine else f"{best} leads"


def position() -> Position:
    """That of the data here; the least where there is none, or no whole."""
    if not (DATA / "global" / "pg_control").exists():
        return Position()
    told = _run(["pg_controldata", "-D", str(DATA)]).stdout
    found = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in told.splitlines())}
    written = max(_number(found[name]) for name in ("Latest checkpoint location", "Minimum recovery ending location"))
    named = [path.name[:8] for path in (DATA / "pg_wal").iterdir() if len(path.stem) in {8, 24}]
    timelines = [int(found["Latest checkpoint's TimeLineID"]), *(int(name, 16) for name in named)]
    return Position(max(timelines), not (DATA / "standby.signal").exists(), written)


def _number(location: str) -> int:
    high, _, low = location.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def _run(command: list[str], given: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, input=given, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=False)
    if done.returncode or "ERROR:" in done.stderr:
        raise SystemExit(f"{Path(command[0]).name}: {done.stderr[-1000:]}")
    return done


def begin() -> None:
    """Let in whom this service knows, by its passwords, and none of the other's members. Safe to repeat: the data only goes farther."""
    if not (DATA / "global" / "pg_control").exists():
        return
    (DATA / "standby.signal").unlink(missing_ok=True)
    options = [word for name, value in _ALONE.items() for word in ("-c", f"{name}={value}")]
    given = "".join(
        f"{statement};\n\n" for statement in statements(dict(line.split() for line in (CONFIG / "roles").read_text().splitlines()))
    )
    _run(["postgres", "--single", "-j", "-D", str(DATA), *options, "postgres"], given)


def statements(roles: Mapping[str, str]) -> Iterator[str]:
    """As whom members of this service come to each other may be another role than those of the data's: each generation has its own."""
    stream, rewind = roles["replication"], roles["rewind"]
    strangers = f"rolname ~ '^(replicator|rewind)(_[0-9]+)?$' AND rolname NOT IN ('{stream}', '{rewind}')"
    shut = "EXECUTE format('ALTER ROLE %I NOLOGIN NOREPLICATION PASSWORD NULL', one)"
    yield f"DO $$DECLARE one name; BEGIN FOR one IN SELECT rolname FROM pg_roles WHERE {strangers} LOOP {shut}; END LOOP; END$$"  # noqa: S608
    yield from (f"DO $$BEGIN IF to_regrole('{role}') IS NULL THEN CREATE ROLE {role}; END IF; END$$" for role in roles.values())
    for name, role in {"superuser": _SUPERUSER, **roles}.items():
        yield f"ALTER ROLE {role} LOGIN PASSWORD '{_password(name)}' VALID UNTIL 'infinity'"
    yield f"ALTER ROLE {stream} REPLICATION"
    yield from (f"GRANT EXECUTE ON FUNCTION pg_catalog.{one} TO {rewind}" for one in _READING)


def _password(name: str) -> str:
    return (SECRETS / name).read_text(encoding="utf-8").rstrip("\n").replace("'", "''")


def ask(host: str) -> Answer:
    """What the member at *host* says: its position while it is here, or, once Patroni runs there, that it leads."""
    try:
        with urllib.request.urlopen(f"http://{host}:{REST}/leader", timeout=_SECONDS):
            return "leads"
    except urllib.error.HTTPError:
        pass  # it answers, and does not lead
    except OSError:
        return None
    try:
        with urllib.request.urlopen(f"http://{host}:{REST}{_ASKED}", timeout=_SECONDS) as answer:
            return Position(**json.load(answer))
    except (OSError, ValueError, TypeError):
        return None


def serve(mine: Position) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == _ASKED else 503)
            self.end_headers()
            if self.path == _ASKED:
                self.wfile.write(json.dumps(asdict(mine)).encode())

        def log_message(self, *_: Any) -> None:
            pass

    ThreadingHTTPServer.allow_reuse_address = True
    server = ThreadingHTTPServer((os.environ.get("LISTEN", ""), REST), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def agree(member: str) -> None:
    """Wait for one's turn; whoever's it is to begin does, and all others follow."""
    hosts = dict(line.split() for line in (CONFIG / "members").read_text().splitlines())
    (DATA / "postmaster.pid").unlink(missing_ok=True)  # of a server that ran elsewhere
    mine, told = position(), ""
    server = serve(mine)
    while True:
        with ThreadPoolExecutor(len(hosts)) as pool:
            answers = dict(zip(hosts, pool.map(ask, hosts.values()), strict=True))
        follows = verdict(member, {**answers, member: mine})
        if follows in {"begin", "follow"}:
            break
        if follows != told:
            print(f"waits until {follows}", file=sys.stderr, flush=True)  # noqa: T201 - its log
        told = follows
        time.sleep(_PAUSE)
    if follows == "begin":
        begin()
    server.shutdown()
    server.server_close()


def main() -> None:
    member = os.environ["MEMBER"]
    service = member.rpartition("-")[0]
    if OWNER.exists() and OWNER.read_text() == service:
        return
    if DATA.exists() or (CONFIG / "restored").exists():
        agree(member)
    new = OWNER.with_suffix(".new")
    new.write_text(service)
    os.sync()
    new.replace(OWNER)


if __name__ == "__main__":
    main()
