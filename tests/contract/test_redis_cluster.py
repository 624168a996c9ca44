"""Redis Cluster's own servers, asked and moved by the very scripts of its Jobs: put together, handed over, and made smaller."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.initialise import Initialisation, Script
from stacks import _redis_cluster
from stacks._redis_cluster import Cluster

pytestmark = pytest.mark.timeout(180)


@dataclass
class Ring:
    """Six servers, each at a loopback address of its own, since scripts know one port for all."""

    folder: Path
    port: int
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def host(self, number: int) -> str:
        return f"127.0.7.{number + 1}"

    def start(self, number: int) -> None:
        own = self.folder / str(number)
        own.mkdir()
        place = {"bind": self.host(number), "bind-source-addr": self.host(number), "protected-mode": "no", "dir": own}
        settings = {"port": self.port, **place, "save": '""', **_redis_cluster.settings(self.host(number), 2)}
        (own / "redis.conf").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        command = ["redis-server", str(own / "redis.conf")]
        self.servers.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def cluster(self, members: int) -> Cluster:
        return Cluster({f"ring-{n}": self.host(n) for n in range(members)}, 3, self.port)

    def run(self, script: str) -> Any:
        """What *script* says, run as its Job would be."""
        command = ["bash", "-c", f'say() {{ printf %s "$1"; }}\n{script}']
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def settle(self, wanted: Initialisation) -> list[str]:
        """Look and do until nothing is lacking; what was done."""
        done: list[str] = []
        end = time.monotonic() + 60
        while True:
            found = wanted.next(json.loads(self.run(wanted.look.text)))
            if found is None:
                return done
            assert time.monotonic() < end, (found, done)
            if isinstance(found, Script):
                self.run(found.text)
                done.append(found.does)
            else:
                time.sleep(0.3)

    def leaders(self, members: int = 6) -> set[str]:
        found: list[str] = json.loads(self.run(self.cluster(members).leading.text))["leader"]
        return set(found)

    def ask(self, number: int, *words: str) -> str:
        command = ["redis-cli", "-c", "-h", self.host(number), "-p", str(self.port), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def founding(cluster: Cluster) -> Initialisation:
    look = cluster.look.text + 'say "$cluster"\n'
    return Initialisation(Script("look", look), cluster.next)


def until(holds: Callable[[], bool], within: float = 30) -> None:
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    with socket.create_server(("127.0.7.1", 0)) as free:
        made = Ring(tmp_path, free.getsockname()[1] % 20_000 + 20_000)
    for number in range(6):
        made.start(number)
    until(lambda: all(made.run(f"redis-cli -h {made.host(n)} -p {made.port} ping || true") == "PONG\n" for n in range(6)))
    yield made
    for server in made.servers:
        server.kill()
        server.wait()


def test_primaries_hand_over_and_who_leaves_is_forgotten_with_every_key_still_there(ring: Ring) -> None:
    """F13, F14: every step twice, as one whose end nobody heard of is."""
    whole = ring.cluster(6)
    assert ring.settle(founding(whole))[-1] == "have replicas follow"
    for number in range(100):
        ring.ask(0, "set", f"key-{number}", str(number))
    assert ring.leaders() == {"ring-0", "ring-1", "ring-2"}

    step = whole.hand_over(("ring-0", "ring-2"))
    assert step
    until(lambda: "master_link_status:up" in ring.ask(3, "info", "replication"))
    until(lambda: "master_link_status:up" in ring.ask(5, "info", "replication"))
    for _ in range(2):
        ring.run(step.text)
        until(lambda: ring.leaders() == {"ring-3", "ring-1", "ring-5"})  # who led hears of it a moment later

    fewer = ring.cluster(3)
    drain = fewer.drain({f"ring-{n}": ring.host(n) for n in (5, 4, 3)})
    done = ring.settle(drain)
    assert done[0] == "have replicas take over"
    assert done[-1] == "have them forgotten"
    until(lambda: ring.leaders(3) == {"ring-0", "ring-1", "ring-2"})
    time.sleep(3)  # those who were forgotten go on talking; nobody listens
    assert ring.settle(drain) == []
    for server in ring.servers[3:]:
        server.kill()
        server.wait()
    assert ring.settle(founding(fewer)) == []
    assert [ring.ask(0, "get", f"key-{number}").strip() for number in range(100)] == [str(number) for number in range(100)]
