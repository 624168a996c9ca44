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
POD = "RECONCILE_POD"  # the uid of the Pod whose only container this runs in
PROC = Path("/proc")  # processes as Linux shows them; elsewhere nobody's can be seen
_NOWHERE = "-"  # the machine of a run that cannot say where it runs
_ENDED_WITHIN = 10.0
_LOADED_WITHIN = 1.0  # seconds from a process's beginning
_STATE, _STARTED = 0, 19  # fields of /proc/<pid>/stat behind the program's name


@dataclass(frozen=True, slots=True)
class Run:
    """A process and where it runs. *machine* tells boots and process namespaces apart, *started* processes that had one pid in turn.

    *user* is whose it is: another's environment, and so what a run of theirs has started, can be seen by root alone.
    """

    host: str
    machine: str
    pid: int
    started: str
    token: str
    user: int = 0

    def __str__(self) -> str:
        return "/".join((self.host, self.machine, str(self.pid), self.started, self.token, str(self.user)))

    @property
    def words(self) -> str:
        """How a message names it."""
        return f"process {self.pid} on {self.host}"

    def beside(self, other: Run) -> bool:
        """Whether *other* can see this run's process, whatever the machine was called meanwhile."""
        return self.machine == other.machine != _NOWHERE

    def seen_through_by(self, other: Run) -> bool:
        """Whether *other* can see all that this run has started, too."""
        return self.beside(other) and other.user in {0, self.user}

    def gone(self) -> bool:
        """Whether its process has ended; only for a run beside this one."""
        return _started(self.pid) != self.started


def own(token: str = "", proc: Path = PROC) -> Run:
    """This process, with a new token unless given one."""
    return Run(socket.gethostname(), _machine(proc), os.getpid(), _started(os.getpid()), token or secrets.token_hex(8), os.geteuid())


def _machine(proc: Path) -> str:
    """Which boot, and which process namespace of it; of a Pod's only container the Pod: it begins anew once all of it before has ended."""
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}.{os.environ.get(POD) or (proc / 'self/ns/pid').readlink().name.strip('pid:[]')}"
    except OSError:
        return _NOWHERE


def parse(text: str) -> Run | None:
    """The run that prints as *text*; None where somebody else wrote it."""
    try:
        host, machine, pid, started, token, *user = text.split("/")
        return Run(host, machine, int(pid), started, token, int("".join(user) or 0))
    except ValueError:
        return None


def end(token: str) -> None:
    """Kill every process here that carries *token*, and those they start meanwhile, until none is left.

    Raises:
        ProviderError: one cannot be ended; it would go on writing.
    """
    deadline = time.monotonic() + _ENDED_WITHIN
    while True:
        pids, late = list(_carrying(token)), time.monotonic() > deadline
        if not pids and (late or not _one_begins()):
            return
        if late:
            raise errors.ProviderError(
                f"processes {', '.join(map(str, pids))} of an earlier run cannot be ended", hint="end them as the user who started them"
            )
        for pid in pids:
            _kill(pid)
        time.sleep(0.02)


def _carrying(token: str) -> Iterator[int]:
    """Processes whose environment has the token, this one never; dead ones that nobody has waited for have none."""
    wanted = f"{VARIABLE}={token}".encode()
    for entry in PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                carries = wanted in (entry / "environ").read_bytes().split(b"\0")
            except OSError:  # it ended meanwhile, or is another user's
                continue
            if carries:
                yield int(entry.name)


def _one_begins() -> bool:
    """Whether a process that is here since a moment has no environment yet: it reads as empty while its program is being loaded."""
    now = float((PROC / "uptime").read_text().split()[0])
    for entry in PROC.iterdir():
        try:
            begins = entry.name.isdigit() and not (entry / "environ").read_bytes() and (entry / "exe").readlink()
        except OSError:  # it ended meanwhile, is another user's, or the kernel's own
            continue
        started = _started(int(entry.name)) if begins else ""
        if started and now - int(started) / os.sysconf("SC_CLK_TCK") < _LOADED_WITHIN:
            return True
    return False


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _started(pid: int) -> str:
    """When the process began, in ticks since boot; "" where there is none, or only its remains."""
    try:
        told = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if told[_STATE] in {"Z", "X"} else told[_STARTED]
