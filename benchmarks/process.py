"""Runs a command and says what it cost: seconds on the clock, seconds of all its processes' CPU, the largest memory of one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_BE_SUBREAPER = 36  # prctl: who loses its parent becomes a child of this process, and its CPU is counted


@dataclass(frozen=True, slots=True)
class Run:
    """A process that has ended. *cpu* counts also whatever it started; *output* is what it said, errors included."""

    seconds: float
    cpu: float
    peak_mib: float
    code: int
    output: str

    @property
    def numbers(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "output"}


class UnexpectedError(Exception):
    """A run that did not do what it is measured for: its number would mean nothing."""


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path, *, code: int = 0, core: int | None = None) -> Run:
    """Run *command* to its end, on one *core* if given; UnexpectedError where it ends with another code than *code*."""
    ctypes.CDLL(None).prctl(_BE_SUBREAPER, 1, 0, 0, 0)
    pinned = ("taskset", "--cpu-list", str(core)) if core is not None else ()
    with tempfile.TemporaryFile() as said:
        before, began = _cpu(), time.perf_counter()
        whole, nothing = (*pinned, *command), subprocess.DEVNULL
        started = subprocess.Popen(whole, env=dict(environment), cwd=folder, stdout=said, stderr=said, stdin=nothing)
        _, status, used = os.wait4(started.pid, 0)
        seconds = time.perf_counter() - began
        started.returncode = os.waitstatus_to_exitcode(status)
        _bury_orphans()
        cpu = _cpu() - before
        said.seek(0)
        output = said.read().decode(errors="replace")
    if started.returncode != code:
        raise UnexpectedError(f"{' '.join(command)} ended with {started.returncode}:\n{output[-3000:]}")
    return Run(round(seconds, 3), round(cpu, 3), round(used.ru_maxrss / 1024, 1), code, output)


def _bury_orphans() -> None:
    """Wait for what the process left behind and what has ended: the engine's plugins."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def best(runs: Sequence[Run]) -> Run:
    """The quickest: whatever else the machine did, it cannot have helped."""
    return min(runs, key=lambda one: one.seconds)
