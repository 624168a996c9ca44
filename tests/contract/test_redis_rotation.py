"""A password that changes under real Redis servers: their links hold all the way, whoever starts anew in between."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.initialise import Initialisation, Script
from reconciler.model.service import Service
from reconciler.resources import cloud, workload
from stacks import redis
from tests.unit.test_stacks import ENVIRONMENT, changed, example, rendered

if not shutil.which("redis-server"):
    pytest.skip("there is no redis-server on PATH", allow_module_level=True)

RING = tuple(f"cache-{number}" for number in range(6))  # as a cluster of three shards
NAMES = RING[:3]
PASSWORDS = {0: "the-first", 1: "the-second"}


def service(rotation: int, names: tuple[str, ...] = NAMES) -> Service:
    shards = {"shards": 3, "node_timeout": 2} if names == RING else {}
    return changed(example("redis"), replicas=len(names), rotation=rotation, options={"auth": True, "appendonly": True, **shards})


@dataclass
class Town:
    """Members as processes of this machine, each at a loopback address of its own; *former* says whether the Secret before is there."""

    folder: Path
    port: int
    names: tuple[str, ...] = NAMES
    former: bool = True
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def pod(self, name: str, generation: int) -> None:
        """Make a Pod of *generation*: its init container writes what the server reads, whenever that starts."""
        own = self.folder / name
        (own / "own").mkdir(parents=True, exist_ok=True)
        (own / "data").mkdir(exist_ok=True)
        self._mount(own / "secrets", generation)
        script = redis._authentication(service(generation, self.names))["command"][-1]
        subprocess.run(["bash", "-ec", self._here(script, own)], check=True)
        files = next(one.fields["data"] for id, one in rendered(service(generation, self.names)).items() if "ConfigMap" in id)
        extra = f"bind {address(name)}\nbind-source-addr {address(name)}\ndaemonize no\nsave ''\nrepl-diskless-sync-delay 0\n"
        (own / "redis.conf").write_text(self._here(str(files[f"{name}.conf"]), own).replace("dir /data", f"dir {own}/data") + extra)
        self.start(name)

    def start(self, name: str) -> None:
        """The container starts, again or for the first time."""
        self.end(name)
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(["redis-server", self.folder / name / "redis.conf"], stdout=log, stderr=log)

    def end(self, name: str) -> None:
        if one := self.running.pop(name, None):
            one.kill()
            one.wait()

    def ask(self, script: Script, generation: int = 1) -> dict[str, Any]:
        """What a Job of a *generation* answers; {} of a step."""
        place = self.folder / "job"
        self._mount(place / "secrets", generation)
        said = place / "said"
        said.unlink(missing_ok=True)
        text = f"say() {{ printf '%s' \"$1\" > {said}; }}\n{self._here(script.text, place)}"
        subprocess.run(["bash", "-c", text], check=True, timeout=60, capture_output=True, env={"PATH": os.environ["PATH"]})
        return dict(json.loads(said.read_text())) if said.exists() else {}

    def settle(self, wanted: Initialisation, generation: int = 1, within: float = 0) -> list[str]:
        """Looks and steps in turn, until nothing is lacking; what was done. What only time mends is waited for *within* seconds."""
        done: list[str] = []
        end = time.monotonic() + within
        while (step := wanted.next(self.ask(wanted.look, generation))) and len(done) < 8:
            if isinstance(step, Script):
                done.append(step.does)
                self.ask(step, generation)
            else:
                assert time.monotonic() < end, step
                time.sleep(0.3)
        assert step is None, step
        return done

    def cli(self, name: str, password: str, *words: str) -> str:
        command = ["redis-cli", "--no-auth-warning", "-a", password, "-h", address(name), "-p", str(self.port), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    def takes(self, name: str) -> set[int]:
        """The generations whose password a member takes."""
        return {number for number, password in PASSWORDS.items() if self.cli(name, password, "ping") == "PONG"}

    def until_taken(self, name: str) -> None:
        """Wait until a member that starts answers."""
        deadline = time.monotonic() + 10
        while not self.takes(name) and time.monotonic() < deadline:
            time.sleep(0.1)

    def linked(self) -> bool:
        """Whether every replica follows its primary, within a while."""
        end = time.monotonic() + 20
        while not (whole := self._all_up()) and time.monotonic() < end:
            time.sleep(0.1)
        return whole

    def _all_up(self) -> bool:
        up = [name for name in self.names if self._is_up(name)]
        return len(up) >= len(self.names) - (3 if self.names == RING else 1)

    def _is_up(self, name: str) -> bool:
        return any("master_link_status:up" in self.cli(name, password, "info", "replication") for password in PASSWORDS.values())

    def _mount(self, folder: Path, generation: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "password").write_text(PASSWORDS[generation])
        (folder / "former").unlink(missing_ok=True)
        if generation and self.former:
            (folder / "former").write_text(PASSWORDS[generation - 1])

    def _here(self, text: str, own: Path) -> str:
        """*text* with this machine's places, addresses and port."""
        for name in self.names:
            text = text.replace(cloud.fqdn(ENVIRONMENT, name), address(name))
        text = text.replace(workload.SECRETS_PATH, f"{own}/secrets").replace(workload.OWN_PATH, f"{own}/own")
        return text.replace(str(redis.PORT), str(self.port)).replace("chown redis", "true")


def address(name: str) -> str:
    return f"127.0.0.{RING.index(name) + 101}"


def free_port() -> int:
    """One that is free at each of the addresses."""
    while True:
        with socket.socket() as one:
            one.bind((address(NAMES[0]), 0))
            port = int(one.getsockname()[1])
        try:
            for name in NAMES[1:]:
                with socket.socket() as other:
                    other.bind((address(name), port))
        except OSError:
            continue
        return port


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path, free_port())
    for name in NAMES:
        made.pod(name, 0)
    assert made.linked()
    assert made.cli(NAMES[0], PASSWORDS[0], "set", "written", "before") == "OK"
    yield made
    for name in NAMES:
        made.end(name)


def before(names: tuple[str, ...] = NAMES) -> Initialisation:
    found = redis.rotate(service(1, names), ENVIRONMENT)
    assert found
    return found.before


def test_all_take_both_and_then_each_restarts_with_the_new_one_alone(town: Town) -> None:
    assert town.settle(before()) == ["give the members the new password beside the former one"]
    assert [town.takes(name) for name in NAMES] == [{0, 1}] * 3
    assert town.settle(before()) == []
    for name in reversed(NAMES):
        town.pod(name, 1)
        assert town.linked(), name
        assert town.settle(before()) == []
    assert [town.takes(name) for name in NAMES] == [{1}] * 3
    assert town.cli(NAMES[2], PASSWORDS[1], "get", "written") == "before"


@pytest.mark.parametrize("crashed", [NAMES[0], NAMES[2]])
def test_a_container_that_starts_anew_in_between_forgets_and_is_told_again(town: Town, crashed: str) -> None:
    town.settle(before())
    town.pod(NAMES[2], 1)
    assert town.linked()
    town.start(crashed)
    town.until_taken(crashed)
    assert town.settle(before()) == ([] if crashed == NAMES[2] else ["give the members the new password beside the former one"])
    assert town.linked()
    for name in (NAMES[1], NAMES[0]):
        town.pod(name, 1)
        assert town.linked(), name
    assert [town.takes(name) for name in NAMES] == [{1}] * 3


def test_who_was_replaced_before_anything_was_prepared_is_taken_in(town: Town) -> None:
    """A node dies at the wrong moment: its Pod comes back with the new password alone, the others have not heard of it."""
    town.pod(NAMES[0], 1)
    time.sleep(0.5)
    town.settle(before())
    assert town.linked()


def test_the_service_is_initialised_once_each_member_refuses_the_former_password(town: Town) -> None:
    wanted = redis.initialise(service(1), ENVIRONMENT)
    assert wanted
    town.settle(before())
    town.pod(NAMES[2], 1)
    assert town.linked()
    said = town.ask(wanted.look)
    assert said["access"] == {NAMES[0]: "former", NAMES[1]: "former", NAMES[2]: "closed"}
    assert wanted.next(said) == f"{NAMES[0]} refuses the former password"
    for name in (NAMES[1], NAMES[0]):
        town.pod(name, 1)
    assert town.linked()
    assert wanted.next(town.ask(wanted.look)) is None
    town.former = False
    assert wanted.next(town.ask(wanted.look)) is None


@pytest.mark.parametrize("names", [NAMES, RING])
def test_no_password_is_on_a_command_line(names: tuple[str, ...]) -> None:
    step = before(names).next({"cache-0": "late"})
    assert isinstance(step, Script)
    for text in (before(names).look.text, step.text):
        assert "redis-cli -a" not in text
        assert all("$new" not in line and "$former" not in line for line in text.splitlines() if "timeout 5 redis-cli" in line)


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Town]:
    """A cluster of three shards of two, with the former password."""
    made = Town(tmp_path, free_port() % 20_000 + 20_000, RING)  # its members' own port is 10,000 higher
    told = redis.initialise(service(0, RING), ENVIRONMENT)
    assert told
    try:
        for name in RING:
            made.pod(name, 0)
        for name in RING:
            made.until_taken(name)
        made.settle(told, generation=0, within=30)
        assert made.linked()
        yield made
    finally:
        for name in RING:
            made.end(name)


def test_a_cluster_s_members_restart_one_by_one_and_lead_and_follow_all_the_way(ring: Town) -> None:
    """Its primaries hand over on the way, between members of two generations; a container of the former one starts anew."""
    told = redis.initialise(service(1, RING), ENVIRONMENT)
    asked = redis.leader(service(1, RING), ENVIRONMENT)
    assert told
    assert asked
    assert ring.ask(asked)["leader"] == list(NAMES), "it is asked before anybody has heard of the new password"
    assert ring.settle(before(RING)) == ["give the members the new password beside the former one"]
    assert ring.linked()
    for name in reversed(RING[3:]):
        ring.pod(name, 1)
        assert ring.linked(), name
        assert ring.settle(before(RING)) == []
    ring.start(RING[0])
    ring.until_taken(RING[0])
    ring.settle(before(RING))
    assert ring.linked()
    over = redis.hand_over(service(1, RING), ENVIRONMENT, NAMES)
    assert over
    ring.ask(over)
    assert ring.linked()
    assert ring.settle(before(RING)) == []
    for name in NAMES:
        ring.pod(name, 1)
        assert ring.linked(), name
    assert ring.settle(told, within=20) == []
    assert [ring.takes(name) for name in RING] == [{1}] * 6
