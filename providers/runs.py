"""Who runs: a process of this or another machine, with the token that everything it starts carries in its environment."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler import errors

VARIABLE = "RECONCILE_RUN"  # in the environment of the engine and so of its plugins, which outlive it
_PROC = Path("/proc")
_ENDED_WITHIN = 10.0
_STATE, _STARTED = 0, 19  # fields of /proc/<pid>/stat behind the program's name


@dataclass(frozen=True, slots=True)
class Run:
    """A process and where it runs. *machine* tells boots and process namespaces apart, *started* processes that had one pid in turn."""

    host: str
    machine: str
    pid: int
    started: str
    token: str

    def __str__(self) -> str:
        return "/".join((self.host, self.machine, str(self.pid), self.started, self.token))

    @property
    def words(self) -> str:
        """How a message names it."""
        return f"process {self.pid} on {self.host}"

    def beside(self, other: Run) -> bool:
        """Whether both run where each can see the other's processes."""
        return (self.host, self.machine) == (other.host, other.machine)

    def gone(self) -> bool:
        """Whether its process has ended; only for a run beside this one."""
        return _started(self.pid) != self.started


def own(token: str = "") -> Run:
    """This process, with a new token unless given one."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    namespace = (_PROC / "self/ns/pid").readlink().name.strip("pid:[]")
    return Run(socket.gethostname(), f"{boot}.{namespace}", os.getpid(), _started(os.getpid()), token or secrets.token_hex(8))


def parse(text: str) -> Run | None:
    """The run that prints as *text*; None where somebody else wrote it."""
    try:
        host, machine, pid, started, token = text.split("/")
        return Run(host, machine, int(pid), started, token)
    except ValueError:
        return None


def end(token: str) -> None:
    """Kill every process here that carries *token*, and those they start meanwhile, until none is left.

    Raises:
        ProviderError: one cannot be ended; it would go on writing.
    """
    deadline = time.monotonic() + _ENDED_WITHIN
    while pids := list(_carrying(token)):
        if time.monotonic() > deadline:
            raise errors.ProviderError(
                f"processes {', '.join(map(str, pids))} of an earlier run cannot be ended", hint="end them as the user who started them"
            )
        for pid in pids:
            _kill(pid)
        time.sleep(0.02)


def _carrying(token: str) -> Iterator[int]:
    """Processes whose environment has the token, this one never; dead ones that nobody has waited for have none."""
    wanted = f"{VARIABLE}={token}".encode()
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                carries = wanted in (entry / "environ").read_bytes().split(b"\0")
            except OSError:  # it ended meanwhile, or is another user's
                continue
            if carries:
                yield int(entry.name)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _started(pid: int) -> str:
    """When the process began, in ticks since boot; "" where there is none, or only its remains."""
    try:
        told = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if told[_STATE] in {"Z", "X"} else told[_STARTED]
