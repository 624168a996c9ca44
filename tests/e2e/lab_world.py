"""A workshop with a counted engine, its judge, and a generated town in it: repositories pushed, hosts running, keys as Secrets."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab import hosts, tool
from tests.e2e import generate
from tests.e2e.generate import Commit, Town
from tests.e2e.judge import Judge
from tests.e2e.workshop import Repository, Workshop

_SHIM = """#!/bin/sh
# Stands before the real `pulumi` on PATH and counts its starts.
printf '%s\\n' "$*" >> '{starts}'
exec '{real}' "$@"
"""


@dataclass(frozen=True)
class Counted(Workshop):
    """A workshop whose every start of the engine is recorded."""

    @cached_property
    def environment(self) -> Mapping[str, str]:
        calm = Workshop(self.directory, self.running).environment
        return {**calm, "PATH": f"{self._shim()}:{calm['PATH']}", "RECONCILE_REPO": str(self.directory / "config.git")}

    @property
    def _starts(self) -> Path:
        return self.directory / "engine-starts"

    def _shim(self) -> Path:
        real = shutil.which("pulumi", path=tool.path())
        assert real, "the engine is not there: run `make setup`"
        folder = self.directory / "shim"
        folder.mkdir(exist_ok=True)
        self._starts.touch()
        (folder / "pulumi").write_text(_SHIM.format(starts=self._starts, real=real))
        (folder / "pulumi").chmod(0o755)
        return folder

    @property
    def engine_record(self) -> Path:
        """The folder of the engine's own state."""
        return self.directory / ".reconcile" / "lab" / "reconciler" / "engine" / ".pulumi"

    def engine_starts(self) -> int:
        """How often the engine was started until now."""
        return len(self._starts.read_text().splitlines())

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start `reconcile` with *words* in a process group of its own, and leave it running; all it says goes to one pipe."""
        return subprocess.Popen(
            [sys.executable, "-u", "-m", "reconciler", *words],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def ask(self, questions: Mapping[str, Any]) -> dict[str, Any]:
        """What clients inside the lab's namespaces answer to *questions* (see `tests.e2e.inside`)."""
        words = ("lab", "exec", "--", sys.executable, "-m", "tests.e2e.inside", json.dumps(questions))
        answers: dict[str, Any] = json.loads(self.reconcile(*words).stdout)
        return answers


def counted(workshop: Workshop) -> Counted:
    return Counted(workshop.directory, workshop.running)


def judge(workshop: Workshop) -> Judge:
    """The judge, by what the lab tells everybody."""
    return Judge(workshop, json.loads(workshop.reconcile("lab", "status", "--format", "json").stdout))


def push_layers(workshop: Workshop, town: Town) -> None:
    """The layers' repository, with every edition of every playbook."""
    first, *others = town.editions
    made = workshop.repository(generate.LAYERS, town.playbooks(first))
    for edition in others:
        made.branch(edition)
        made.commit(f"Make {edition}", dict(town.playbooks(edition)))
    made.push(*others)


def push_config(workshop: Workshop, town: Town, commit: Commit) -> Repository:
    """The config repository at *commit*."""
    return workshop.repository("config", town.files(commit))


def start_hosts(workshop: Workshop, names: Mapping[str, str]) -> hosts.Hosts:
    """An sshd for each of *names*, at its address; what lets Ansible in, as Secrets."""
    started = hosts.start(workshop.running, list(names))
    assert {host.name: host.address for host in started.hosts} == dict(names)
    for secret, file in (("ansible-ssh", f"ssh-privatekey={started.key}"), ("ansible-known-hosts", f"known_hosts={started.known_hosts}")):
        workshop.kubectl("create", "secret", "generic", secret, f"--from-file={file}")
    return started


def questions(town: Town, commit: Commit, value: str, passwords: Mapping[str, str]) -> dict[str, Any]:
    """What to ask every service of *commit*; those of some need one of the *passwords*."""
    return {
        one.name: {
            "type": one.type,
            "members": [town.fqdn(member) for member in one.members],
            "key": "judged",
            "value": value,
            "port": one.port,
            "password": passwords.get(one.name),
        }
        for one in commit.services
    }
