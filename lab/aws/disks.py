"""What is on the lab's volumes: a folder each. Copied while nobody who has one mounted runs, so that a copy is of one instant.

Unlike EBS, which knows what has reached the disk, it copies also what the kernel has not written yet.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

VOLUMES, SNAPSHOTS = "volumes", "snapshots"
_STOPS_WITHIN = 2.0  # seconds: whoever waits for the disk stops only then


class Disks:
    """The volumes and snapshots of the lab in *folder*; None where there is no lab, but an account alone: then all are empty."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def keep(self, taken: Mapping[str, str]) -> None:
        """Copy volumes into snapshots, all at one instant: *taken* says by snapshot which volume it is of."""
        if self._folder is None:
            return
        volumes, snapshots = self._folder / VOLUMES, self._folder / SNAPSHOTS
        there = {snapshot: volumes / volume for snapshot, volume in taken.items() if (volumes / volume).exists()}
        if there:
            snapshots.mkdir(exist_ok=True)
            with _stopped(_users(taken.values())):
                for snapshot, volume in there.items():
                    _copy(volume, snapshots / snapshot)

    def restore(self, snapshot: str, volume: str) -> None:
        """Let a new volume begin with what *snapshot* has."""
        if self._folder is not None and (self._folder / SNAPSHOTS / snapshot).exists():
            _copy(self._folder / SNAPSHOTS / snapshot, self._folder / VOLUMES / volume)

    def drop(self, snapshot: str) -> None:
        if self._folder is not None:
            subprocess.run(["rm", "-rf", self._folder / SNAPSHOTS / snapshot], check=True)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "--archive", "--reflink=auto", "--no-target-directory", source, target], check=True)


def _users(volumes: Iterable[str]) -> Iterator[int]:
    """The processes that have one of *volumes* mounted and run; one that somebody else has stopped stays so."""
    mounted = frozenset(volumes)
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            with suppress(OSError):  # it has ended meanwhile
                if _has_mounted(process, mounted) and _state(process) not in {"T", "Z"}:
                    yield int(process.name)


def _has_mounted(process: Path, names: Iterable[str]) -> bool:
    """Whether *process* sees a mount of a volume of one of these *names*, which are unique, or of what lies below."""
    roots = {step for line in (process / "mountinfo").read_text().splitlines() for step in line.split()[3].split("/")}
    return not roots.isdisjoint(names)


def _state(process: Path) -> str:
    return (process / "stat").read_text().rpartition(")")[2].split()[0]


def _runs(process: int) -> bool:
    with suppress(OSError):
        return _state(Path("/proc") / str(process)) not in {"T", "Z"}
    return False


@contextmanager
def _stopped(processes: Iterable[int]) -> Iterator[None]:
    """Nobody of *processes* runs within this."""
    held = list(processes)
    for one in held:
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGSTOP)
    end = time.monotonic() + _STOPS_WITHIN
    while time.monotonic() < end and any(_runs(one) for one in held):
        time.sleep(0.002)
    try:
        yield
    finally:
        for one in held:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGCONT)
