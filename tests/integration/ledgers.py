"""A service that keeps numbers, as its spec's author, its client and the judge see it: what the tests of databases share."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab import defaults, namespace
from lab.agent import control
from lab.layout import Layout
from tests.e2e.workshop import Workshop

WITHIN = 60.0
APPLY = ("apply", "--auto-approve", "--timeout", "300s")
_ENVIRONMENT = """\
apiVersion: reconciler/v1
kind: Environment
metadata: {{name: {name}}}
spec:
  zones: [us-east-1a, us-east-1b, us-east-1c]
  dns: {{zone: {name}.internal}}
"""


@dataclass(frozen=True)
class Ledger:
    """The service *name* of an environment of its own; *client* is the program that writes and reads, with the *password* of that key.

    *secret* is where that lies, if not in the first generation.
    """

    work: Workshop
    environment: str
    name: str
    client: Path
    password: str
    members: int = 3
    secret: str = ""

    @property
    def copy(self) -> Ledger:
        """A service that begins with its snapshots, under a name that no other test's has."""
        return replace(self, name=_copy_of(self.name), secret="")

    @property
    def hosts(self) -> list[str]:
        return [f"{self.name}-{n}.{self.environment}.internal" for n in range(self.members)]

    def declare(self, text: str) -> None:
        (self.work.directory / "specs" / self.environment / "ledger.yaml").write_text(text)

    def reconcile(self, *words: str) -> str:
        return self.work.reconcile(*words, "-e", self.environment).stdout

    def delete(self, member: str) -> None:
        """Its Pod is deleted; the StatefulSet makes another."""
        self.work.kubectl("delete", "pod", member, "--wait=false")

    def start(self, does: str) -> subprocess.Popen[str]:
        """A client of the members by their names, in the lab's network."""
        secret = json.loads(self.work.kubectl("get", "secret", self.secret or f"{self.name}-auth", "-o", "json"))["data"][self.password]
        command = namespace.entering(self.work.running.pid, (sys.executable, str(self.client), does, ",".join(self.hosts)), directory="/")
        own = {**os.environ, "PASSWORD": base64.b64decode(secret).decode()}
        return subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def ask(self, does: str) -> list[str]:
        """What the client says, line by line."""
        client = self.start(does)
        told, _ = client.communicate(timeout=90)
        assert client.returncode == 0
        return told.splitlines()

    def numbers(self) -> set[int]:
        """What the service holds."""
        return {int(line) for line in self.ask("read")}

    @contextmanager
    def dead(self, members: Iterable[str]) -> Iterator[None]:
        """The nodes of *members* die, processes and all, without a word; and come back."""
        nodes = {self.work.kubectl("get", "pod", member, "-o", "jsonpath={.spec.nodeName}") for member in members}
        lab = Path(self.work.running.dir)
        for node in nodes:
            control.node_down(lab, node, "dead")
        try:
            yield
        finally:
            for node in nodes:
                control.node_up(lab, node)


def _copy_of(name: str) -> str:
    return f"copy-of-{name}"


def copied(ledger: Ledger, text: str) -> str:
    """A document: the copy of *ledger*, which begins with snapshots that are taken now of the service that *text* declares."""
    ledger.declare(f"{text}  snapshots: {{every: 24h, keep: 2}}\n")
    ledger.reconcile(*APPLY)

    def taken() -> Any:
        (found,) = json.loads(ledger.reconcile("snapshots", "--format", "json"))
        return found

    assert eventually(lambda: taken()["state"] == "complete"), taken()
    source = f'  restoreFrom: {{service: {ledger.name}, snapshotTime: "{taken()["taken"]}"}}\n'
    return f"{text.replace(f'name: {ledger.name}', f'name: {ledger.copy.name}')}{source}"


class Writing:
    """A client that writes until it is told to stop; what it was told is written, and when."""

    def __init__(self, ledger: Ledger) -> None:
        self._process = ledger.start("write")

    def stop(self) -> list[tuple[int, float]]:
        os.killpg(self._process.pid, signal.SIGTERM)
        told, _ = self._process.communicate(timeout=30)
        lines = [line.split() for line in told.splitlines(keepends=True) if line.endswith("\n")]
        return [(int(number), float(seconds)) for number, seconds in lines]


@contextmanager
def opened(lab: Layout, folder: Path, environment: str, name: str) -> Iterator[Workshop]:
    """An environment of its own in the shared lab; the Pods of *name* and of its copy end with the test."""
    own = folder / ".reconcile" / environment
    own.mkdir(parents=True)
    found: dict[str, Any] = defaults.defaults(lab)
    found["spec"] |= {"store": f"sqlite:///{own}/store.db"}
    found["spec"]["engine"] |= {"backend": f"file://{own}/engine"}
    (own / defaults.FILE).write_text(json.dumps(found))
    specs = folder / "specs" / environment
    specs.mkdir(parents=True)
    (specs / "environment.yaml").write_text(_ENVIRONMENT.format(name=environment))
    work = Workshop(folder, lab)
    work.run("git", "init", "-q", "-b", "main", folder)
    try:
        yield work
    finally:
        work.kubectl("delete", "statefulset", name, _copy_of(name), "--ignore-not-found")


def eventually(what: Callable[[], bool]) -> bool:
    end = time.monotonic() + WITHIN
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.3)
    return True
