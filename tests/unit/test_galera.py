"""How members of a Galera cluster agree who begins it: the script itself, `runner/galera.sh`, its parts and the whole of it."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "runner" / "galera.sh"
WORLD = Path(__file__).with_name("galera_world.py")
A, B = "532486c2-e6a0-11f1-8491-8e6fd701d987", "7b855d50-e6a3-11f1-8b38-2b251ad7c743"
OF_NOTHING = "00000000-0000-0000-0000-000000000000"
NAMES = ["m-0", "m-1", "m-2"]
SEED = 1  # of who is killed; when, the machine decides as well


def moved(folder: Path) -> str:
    """The script, with its paths below *folder*."""
    places = {"config": "config", "secrets": "secrets", "own": "own", "data": "data"}
    for name in places.values():
        (folder / name).mkdir(parents=True, exist_ok=True)
    assignment = " ".join(f"{name}={folder}/{place}" for name, place in places.items())
    text, times = re.subn(r"^config=.*$", assignment, SCRIPT.read_text(), count=1, flags=re.MULTILINE)
    assert times == 1
    (folder / "config" / "galera.sh").write_text(text)
    (folder / "config" / "members").write_text("".join(f"{name} {name}\n" for name in NAMES))
    return text


def runs(folder: Path, does: str, member: str = "m-0", path: str = "") -> str:
    """What a piece of shell prints that has the script's functions."""
    moved(folder)
    environment = {"PATH": f"{path}:{os.environ['PATH']}", "MEMBER": member, "LC_ALL": "C.UTF-8"}
    source = f"set -- :; . {folder}/config/galera.sh\n{does}"
    return subprocess.run(["bash", "-c", source], env=environment, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


# --- what follows from what others say


@pytest.mark.parametrize(
    ("mine", "others", "follows"),
    [
        ("none", ["waiting 1 down none", "waiting 2 down none"], "begin"),
        (f"{A}:7", ["waiting 1 down none", "waiting 2 down none"], "begin"),
        (f"{A}:7", [f"waiting 1 down {A}:7", f"waiting 2 down {A}:3"], "begin"),
        (f"{A}:10", [f"waiting 1 down {A}:9", f"waiting 2 down {A}:3"], "begin"),
        (f"{A}:7", [f"waiting 1 down {A}:8", f"waiting 2 down {A}:3"], "m-1 begins"),
        (f"{A}:7", [f"waiting 1 down {A}:8", f"waiting 2 down {A}:9"], "m-2 begins"),
        ("none", [f"waiting 1 down {A}:0", "waiting 2 down none"], "m-1 begins"),
        ("broken", [f"waiting 1 down {A}:5", "waiting 2 down none"], "m-1 begins"),
        (f"{A}:7", ["waiting 1 down broken", "waiting 2 down none"], "begin"),
        ("none", ["waiting 1 down broken", "waiting 2 down none"], "somebody has data: that of m-1 is incomplete, and nobody else has any"),
        ("none", ["waiting 1 down none", ""], "m-2 answers: only together they know whose data is the latest"),
        (f"{A}:9", [f"waiting 1 down {A}:8", ""], "m-2 answers: only together they know whose data is the latest"),
        (f"{A}:9", [f"waiting 1 raised {A}:8", f"waiting 2 down {A}:8"], "m-1 has begun"),
        (f"{A}:9", ["running", f"waiting 2 down {A}:8"], "m-1 is in a primary component"),
        (
            f"{A}:9",
            [f"waiting 1 down {B}:8", "waiting 2 down none"],
            "all members hold one cluster's data: m-1 has another than the others",
        ),
        (f"{A}:9", ["", f"primary {A}"], "join"),
        ("none", ["running", f"primary {A}"], "join"),
        ("broken", [f"waiting 1 raised {A}:8", f"primary {A}"], "join"),
        (f"{A}:9", [f"primary {B}", ""], f"its volume holds another cluster's data ({A}) than m-1 has ({B}): remove one of them"),
    ],
)
def test_a_member_begins_only_if_all_wait_and_none_knows_more(tmp_path: Path, mine: str, others: list[str], follows: str) -> None:
    heard = "".join(f"said[m-{n}]='{answer}'\n" for n, answer in enumerate(others, 1))
    assert runs(tmp_path, f"{heard}verdict {mine}") == follows


@pytest.mark.parametrize(
    ("others", "goes"),
    [
        ([f"primary {A}", f"primary {A}"], "yes"),
        ([f"primary {A}", "running"], "no"),
        ([f"waiting 1 down {A}:8", f"primary {A}"], "no"),
        ([f"primary {A}", f"waiting 2 down {A}:8"], "yes"),
        ([f"primary {A}", ""], "yes"),
    ],
)
def test_members_join_one_after_the_other(tmp_path: Path, others: list[str], goes: str) -> None:
    heard = "".join(f"said[{name}]='{answer}'\n" for name, answer in zip(["m-0", "m-2"], others, strict=True))
    assert runs(tmp_path, f"{heard}in_turn && echo yes || echo no", member="m-1") == goes


@pytest.mark.parametrize(
    ("state", "innodb", "position"),
    [
        (None, "", "none"),
        ("", f"{A}:99", f"{A}:99"),
        (f"uuid:    {A}\nseqno:   42\nsafe_to_bootstrap: 1\n", "", f"{A}:42"),
        (f"uuid:    {A}\nseqno:   -1\nsafe_to_bootstrap: 0\n", f"{A}:99", f"{A}:99"),
        (f"uuid:    {A}\nseqno:   -1\nsafe_to_bootstrap: 0\n", f"{A}:99,0-1-12", f"{A}:99"),
        (f"uuid:    {A}\nseqno:   -1\nsafe_to_bootstrap: 0\n", f"{OF_NOTHING}:-1", "none"),
        (f"uuid:    {OF_NOTHING}\nseqno:   -1\nsafe_to_bootstrap: 0\n", f"{A}:99", "broken"),
    ],
)
def test_a_position_is_what_galera_saved_or_innodb_has(tmp_path: Path, state: str | None, innodb: str, position: str) -> None:
    tool(tmp_path / "bin", "mariadbd", f"echo '... [Note] WSREP: Recovered position: {innodb}' >&2")
    if state is not None:
        (tmp_path / "data" / "database" / "mysql").mkdir(parents=True)
        (tmp_path / "data" / "database" / "grastate.dat").write_text(f"# GALERA saved state\nversion: 2.1\n{state}")
    assert runs(tmp_path, "recovered", path=str(tmp_path / "bin")) == position


def test_a_position_that_cannot_be_read_is_none_that_could_be_compared(tmp_path: Path) -> None:
    """Its data may be the latest: others wait for it."""
    tool(tmp_path / "bin", "mariadbd", "echo 'InnoDB: corrupted' >&2; exit 1")
    (tmp_path / "data" / "database" / "mysql").mkdir(parents=True)
    (tmp_path / "data" / "database" / "grastate.dat").write_text(f"uuid:    {A}\nseqno:   -1\n")
    assert runs(tmp_path, "recovered || echo $?", path=str(tmp_path / "bin")) == "1"


@pytest.mark.parametrize("state", [None, "", f"uuid:    {A}\nseqno:   -1\nsafe_to_bootstrap: 0\n"])
@pytest.mark.parametrize("mine", [f"{A}:9", "none"])
def test_galera_lets_who_begins_begin_at_its_position(tmp_path: Path, mine: str, state: str | None) -> None:
    database = tmp_path / "data" / "database"
    (database / "mysql").mkdir(parents=True)
    if state is not None:
        (database / "grastate.dat").write_text(state)
    runs(tmp_path, f"begin {mine}")
    saved = (database / "grastate.dat").read_text().split() if (database / "grastate.dat").exists() else None
    assert saved == (f"# GALERA saved state version: 2.1 uuid: {A} seqno: 9 safe_to_bootstrap: 1".split() if mine != "none" else None)


# --- data of another service


def claims(folder: Path, *, of: str | None, mine: str = f"{A}:9", member: str = "copy-0", whole: bool = True, code: int = 0) -> str:
    """What the database is told when a member of `copy` finds a volume that says *of*; "" where it is told nothing."""
    (folder / "data" / "database" / ("mysql" if whole else "")).mkdir(parents=True, exist_ok=True)
    tool(folder / "bin", "mariadbd", f"cat > {folder}/told; exit {code}")
    (folder / "secrets").mkdir(exist_ok=True)
    for name in ("root", "monitor", "sst"):
        (folder / "secrets" / name).write_text(f"new-{name}")
    if of is not None:
        (folder / "data" / "service").write_text(f"{of}\n")
    (folder / "told").unlink(missing_ok=True)
    assert runs(folder, f"claim {mine} || echo failed", member=member, path=str(folder / "bin")) == ("failed" if code else "")
    return (folder / "told").read_text() if (folder / "told").exists() else ""


@pytest.mark.parametrize("of", [None, "orders"])
def test_a_copy_of_anothers_data_gets_the_passwords_of_its_service_once(tmp_path: Path, of: str | None) -> None:
    told = claims(tmp_path, of=of)
    for user, host in (("root", "%"), ("monitor", "localhost"), ("sst", "localhost")):
        assert f"CREATE OR REPLACE USER '{user}'@'{host}' IDENTIFIED BY 'new-{user}';" in told
    assert "DELETE" not in told, "the application's users stay"
    assert (tmp_path / "data" / "service").read_text() == "copy\n"
    assert claims(tmp_path, of=None) == ""


def test_data_that_is_its_own_or_incomplete_or_not_there_yet_is_not_touched(tmp_path: Path) -> None:
    assert claims(tmp_path / "own", of="copy") == ""
    assert claims(tmp_path / "empty", of=None, mine="none", whole=False) == ""
    assert claims(tmp_path / "broken", of="orders", mine="broken") == ""
    assert claims(tmp_path / "dashes", of="my-orders", member="my-orders-2") == ""
    assert all((tmp_path / folder / "data" / "service").read_text() == "copy\n" for folder in ("own", "empty", "broken"))


def test_a_copy_whose_passwords_could_not_be_set_is_tried_again(tmp_path: Path) -> None:
    assert claims(tmp_path, of="orders", code=1)
    assert (tmp_path / "data" / "service").read_text() == "orders\n"
    assert claims(tmp_path, of=None)


@pytest.mark.skipif(not shutil.which("mariadb-install-db"), reason="needs MariaDB's server")
def test_mariadb_itself_takes_the_new_password_in_place_of_the_old(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "my.cnf").write_text("[mysqld]\nuser=root\nbinlog_format=ROW\nwsrep_on=OFF\n")
    for name in ("root", "monitor", "sst"):
        (secrets / name).write_text(f"old-{name}")
    runs(tmp_path, "found && claim none", member="orders-0")
    (secrets / "root").write_text("new ' root")
    given = "SELECT JSON_VALUE(Priv, '$.authentication_string') = PASSWORD('{}') FROM mysql.global_priv WHERE User = 'root'"
    asked = "".join(f"{given.format(word)} INTO OUTFILE '{tmp_path}/told-{n}';\n" for n, word in enumerate(["old-root", "new \\' root"]))
    (tmp_path / "asked").write_text(asked)
    runs(tmp_path, f'claim {A}:9 && closed "$database" < {tmp_path}/asked', member="copy-0")
    assert [(tmp_path / f"told-{n}").read_text() for n in (0, 1)] == ["0\n", "1\n"]


# --- its secrets


@pytest.mark.parametrize("password", ["plain", 'it\'s "q" \\ % $(id) `id` #;--', "\\", "'", " a ", "ключ 🔑", "tab\there"])
def test_any_password_is_one_text_of_sql(tmp_path: Path, password: str) -> None:
    (tmp_path / "secret").write_text(f"{password}\n")
    told = runs(tmp_path, f"quoted {tmp_path}/secret")
    assert (told[0], told[-1]) == ("'", "'")
    assert re.sub(r"\\(.)", r"\1", told[1:-1]) == password
    assert not re.search(r"(?<!\\)(?:\\\\)*'", told[1:-1])


def test_members_trust_who_has_their_secret_and_nobody_else(tmp_path: Path) -> None:
    for member, secret in {"a": "x" * 64, "b": "x" * 64, "c": "y" * 64}.items():
        (tmp_path / member / "secrets").mkdir(parents=True)
        (tmp_path / member / "secrets" / "cluster").write_text(secret)
        runs(tmp_path / member, "umask 077; certify")
        assert (tmp_path / member / "own" / "key.pem").stat().st_mode & 0o077 == 0

    def trusts(one: str, other: str) -> bool:
        files = [tmp_path / one / "own" / "ca.pem", tmp_path / other / "own" / "cert.pem"]
        return subprocess.run(["openssl", "verify", "-CAfile", *files], capture_output=True, check=False).returncode == 0

    assert trusts("a", "b")
    assert trusts("b", "a")
    assert not trusts("a", "c")


@pytest.mark.parametrize(
    ("noted", "times"),
    [("11.4.5-MariaDB", 0), ("11.4.4-MariaDB", 2), ("10.11.14-MariaDB", 2), ("", 2)],
    ids=["of this server", "of a patch before", "of a series before", "of a copy"],
)
def test_a_member_upgrades_its_own_system_tables_once_it_has_what_the_others_have(tmp_path: Path, noted: str, times: int) -> None:
    """Refused the first time, as by a server that is not there yet; until it has been done the member is not ready."""
    moved(tmp_path)
    (tmp_path / "data" / "database").mkdir()
    if noted:
        (tmp_path / "data" / "database" / "mariadb_upgrade_info").write_text(noted)
    (tmp_path / "secrets" / "root").write_text('pass"w rd')
    (tmp_path / "own" / "state").write_text("running")
    tool(tmp_path / "bin", "mariadbd", "echo 'mariadbd  Ver 11.4.5-MariaDB-ubu2404 for debian-linux-gnu on x86_64'")
    tool(tmp_path / "bin", "mariadb-upgrade", f'echo "$MYSQL_PWD $*" >> {tmp_path}/asked; (($(wc -l < {tmp_path}/asked) == 2))')
    tool(tmp_path / "bin", "sleep", "exit 0")
    late = f"{{ echo x >> {tmp_path}/polled; (($(wc -l < {tmp_path}/polled) > 2)) && echo Synced; }}"
    fakes = f"status() {{ [[ $# == 3 ]] && echo ON Primary Synced || {late}; }}\n"
    told = runs(tmp_path, f"{fakes}ready 2> /dev/null && echo early; upgrade 2> /dev/null; ready && echo ready", path=str(tmp_path / "bin"))
    assert told == "ready"
    asked = (tmp_path / "asked").read_text().splitlines() if times else []
    assert asked == [f'pass"w rd --no-defaults -S {tmp_path}/own/mariadb.sock -u root'] * times


def test_no_secret_is_on_a_command_line() -> None:
    text = SCRIPT.read_text()
    assert not re.findall(r"--password|-p\"?\$", text)
    commands = [
        line
        for line in text.splitlines()
        if "$secrets/" in line and not line.lstrip().startswith(("CREATE OR REPLACE USER", "wsrep_sst_auth="))
    ]
    for line in commands:  # read by redirection alone, into the environment or a file of the Pod's memory
        assert re.search(r'sha256sum < "\$secrets/|MYSQL_PWD=\$\(< "\$secrets/|hashed "\$secrets/|\[\[ -s \$secrets/', line), line
    assert 'printf %s "$(< "$1")" | openssl' in text  # `hashed`: printf is the shell's own, and no process


# --- the whole


def tool(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / name).chmod(0o755)


class Member:
    """One that is killed and started again, as a kubelet would."""

    def __init__(self, world: Path, name: str) -> None:
        self.folder, self.name = world / name, name
        moved(self.folder)
        for secret in ("root", "monitor", "sst", "cluster"):
            (self.folder / "secrets" / secret).write_text("secret")
        for file in ("my.cnf", "provider"):
            (self.folder / "config" / file).write_text("")
        (self.folder / "pid").write_text("0")
        own = {"MEMBER": name, "FQDN": name, "LISTEN": name, "WORLD": str(world)}
        self.environment = {**os.environ, **own, "PATH": f"{world}/bin:{os.environ['PATH']}"}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.end()
        (self.folder / "status").unlink(missing_ok=True)
        command = ["bash", str(self.folder / "config" / "galera.sh"), "run"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, start_new_session=True)
        (self.folder / "pid").write_text(str(self.process.pid))

    def end(self, number: int = signal.SIGKILL) -> None:
        """Killed with all that it has started, or asked to stop."""
        if self.process is None:
            return
        if number == signal.SIGTERM and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def tend(self) -> None:
        if self.process is None or self.process.poll() is not None:
            self.start()


def world(folder: Path) -> list[Member]:
    """Members, and the programs that they find."""
    for name in ("mariadbd", "mariadb", "socat"):
        tool(folder / "bin", name, f'exec {sys.executable} -I -S {WORLD} {name} "$@"')
    for name in ("openssl", "mariadb-install-db", "mariadb-upgrade", "sync"):
        tool(folder / "bin", name, "exit 0")
    tool(folder / "bin", "getent", "echo 127.0.0.1")
    tool(folder / "bin", "sleep", f"exec {shutil.which('sleep')} 0.1$((RANDOM % 10))")
    (folder / "group").touch()
    return [Member(folder, name) for name in NAMES]


@pytest.mark.timeout(60)
def test_a_member_that_is_asked_to_stop_lets_its_server_leave(tmp_path: Path) -> None:
    one = world(tmp_path)[0]
    (one.folder / "config" / "members").write_text("m-0 m-0\n")
    try:
        until(lambda: in_primary(one), [one])
        one.end(signal.SIGTERM)
    finally:
        one.end()
    saved = (one.folder / "data" / "database" / "grastate.dat").read_text()
    assert int(re.findall(r"seqno: *(-?\d+)", saved)[0]) >= 0


@pytest.mark.timeout(180)
def test_whoever_is_killed_and_whenever_one_cluster_begins_and_has_what_was_acknowledged(tmp_path: Path) -> None:
    """Members die one by one, in part and all at once, at any moment of founding, waiting, beginning, joining and writing."""
    chance = random.Random(SEED)
    members = world(tmp_path)
    try:
        for _ in range(10):
            for one in chance.sample(members, chance.choice([1, 2, 3, 3, 3])):
                one.tend()
                time.sleep(chance.choice([0, 0, 0.5]))
            time.sleep(chance.uniform(0, 1.8))
            for one in chance.sample(members, chance.choice([0, 1, 2, 3, 3])):
                one.end(chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
        until(lambda: all(in_primary(one) for one in members), members)
    finally:
        for one in members:
            one.end()
    told = {one.name: (one.folder / "log").read_text() for one in members}
    assert not (tmp_path / "violations").exists(), (tmp_path / "violations").read_text() + str(told)
    assert "another cluster" not in str(told)


def in_primary(one: Member) -> bool:
    log = subprocess.run(
        ["bash", one.folder / "config" / "galera.sh", "position"], env=one.environment, capture_output=True, text=True, check=False
    )
    return log.stdout.startswith("primary")


def until(what: Callable[[], bool], members: list[Member]) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end, {one.name: (one.folder / "log").read_text() for one in members}
        for one in members:
            one.tend()
        time.sleep(0.2)
