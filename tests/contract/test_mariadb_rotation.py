"""Passwords that change under a real MariaDB server, by its Jobs' script: an account takes both until it takes the next alone."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.test_galera import moved

if not shutil.which("mariadbd"):
    pytest.skip("there is no mariadbd on PATH", allow_module_level=True)

USERS = ("root", "monitor", "sst")
SECRETS = {n: {user: f"{user}-{n}-secret" for user in USERS} for n in range(2)}  # by generation
pytestmark = pytest.mark.timeout(180)


@dataclass
class Server:
    """One by itself, with the users of a member of a generation before."""

    folder: Path
    port: int

    def mount(self, *, former: bool = True) -> None:
        """What a Job of the later generation finds."""
        for user in USERS:
            (self.folder / "secrets" / user).write_text(SECRETS[1][user] + "\n")
            (self.folder / "secrets" / f"former-{user}").unlink(missing_ok=True)
            if former:
                (self.folder / "secrets" / f"former-{user}").write_text(SECRETS[0][user] + "\n")

    def job(self, does: str, *words: str) -> str:
        environment = {"PATH": os.environ["PATH"], "MYSQL_TCP_PORT": str(self.port), "rotated": " ".join(USERS), "LC_ALL": "C.UTF-8"}
        command = ["bash", str(self.folder / "config" / "galera.sh"), does, *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout

    def taken(self) -> str:
        found: dict[str, str] = json.loads(self.job("keys", "m-0", "127.0.0.1"))["taken"]
        return found["m-0"]

    def lets_in(self, generation: int) -> set[str]:
        """Whose password of that generation it takes: root's over the network, the others' at its socket."""
        return {user for user in USERS if self._enters(user, SECRETS[generation][user])}

    def _enters(self, user: str, password: str) -> bool:
        place = ["-h", "127.0.0.1", "-P", str(self.port)] if user == "root" else ["-S", f"{self.folder}/socket"]
        command = ["mariadb", "--no-defaults", *place, "-u", user, "-e", "SELECT 1"]
        ended = subprocess.run(command, env={"PATH": os.environ["PATH"], "MYSQL_PWD": password}, capture_output=True, check=False)
        return ended.returncode == 0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    moved(tmp_path)
    for user in USERS:
        (tmp_path / "secrets" / user).write_text(SECRETS[0][user] + "\n")
    data, as_root = f"--datadir={tmp_path}/db", "--user=root"
    install = ["mariadb-install-db", "--no-defaults", data, as_root, "--skip-test-db", "--auth-root-authentication-method=normal"]
    subprocess.run(install, check=True, capture_output=True)
    users = subprocess.run(
        ["bash", "-c", f"set -- :; . {tmp_path}/config/galera.sh\nnobody; users"],
        check=True,
        capture_output=True,
        env={"PATH": os.environ["PATH"]},
    ).stdout
    subprocess.run(["mariadbd", "--no-defaults", data, as_root, "--bootstrap"], input=users, check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        made = Server(tmp_path, free.getsockname()[1])
    told = [
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        f"--port={made.port}",
        f"--socket={tmp_path}/socket",
        f"--pid-file={tmp_path}/pid",
    ]
    logged = ["--general-log=1", f"--general-log-file={tmp_path}/statements"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(["mariadbd", "--no-defaults", data, as_root, *told, *logged], stdout=log, stderr=log)
    try:
        made.mount()
        end = time.monotonic() + 60
        while made.lets_in(0) != set(USERS):
            assert time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.2)
        yield made
    finally:
        process.kill()
        process.wait()


def test_accounts_take_both_passwords_and_then_the_next_alone(server: Server) -> None:
    """Each step twice, as one whose end nobody heard of is; no password is in the log of statements, or in the one of commands."""
    assert server.taken() == "former"
    for _ in range(2):
        server.job("give", "127.0.0.1")
    assert server.taken() == "both"
    assert (server.lets_in(0), server.lets_in(1)) == (set(USERS), set(USERS))
    for _ in range(2):
        server.job("retire", "127.0.0.1")
    assert (server.lets_in(0), server.lets_in(1)) == (set(), set(USERS))
    for former in (True, False):
        server.mount(former=former)
        assert server.taken() == "next"
    statements = (server.folder / "statements").read_text()
    assert "ALTER USER" in statements
    assert not [secret for of in SECRETS.values() for secret in of.values() if secret in statements]


def test_who_does_not_answer_is_silent_and_who_can_changes_the_accounts_of_all(server: Server) -> None:
    assert json.loads(server.job("keys", "m-0", "127.0.0.1", "m-1", "127.0.0.2")) == {"taken": {"m-0": "former", "m-1": "silent"}}
    server.job("give", "127.0.0.2", "127.0.0.1")
    assert server.taken() == "both"
