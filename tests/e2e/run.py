"""A command that is running: what it says, how far it has come, and the processes that it has started."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

BEGINS = re.compile(r"^  (\S+/\S+): \w+ing$")
ENDS = re.compile(r"^  (\S+/\S+): .+ after [\d.]+s$")
WITHIN = 400.0  # seconds: a run waits four minutes for what is to be ready
MARK = "E2E_RUN"  # in the environment of everything that a command starts, plugins in groups of their own included


@dataclass
class Run:
    """A running `reconcile`, and what it has said so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout
        with self.process.stdout:
            self.lines.extend(self.process.stdout)

    @property
    def over(self) -> bool:
        return self.process.poll() is not None

    @property
    def said(self) -> str:
        return "".join(tuple(self.lines))

    def begun(self) -> set[str]:
        """What the engine has begun to act upon, as told."""
        return {match[1] for line in tuple(self.lines) if (match := BEGINS.match(line))}

    def ended(self) -> set[str]:
        """What it has ended with, as told."""
        return {match[1] for line in tuple(self.lines) if (match := ENDS.match(line))}

    def until(self, holds: Callable[[], object]) -> bool:
        """Wait until *holds* comes true; False where the run has ended before."""
        deadline = time.monotonic() + WITHIN
        while not holds():
            if self.over:
                return bool(holds())
            assert time.monotonic() < deadline, self.said
            time.sleep(0.01)
        return True

    def signal(self, number: signal.Signals, *, group: bool) -> None:
        """Send a signal to the process alone, or to all of its group as a terminal does."""
        (os.killpg if group else os.kill)(self.process.pid, number)

    def end(self) -> int:
        """Wait for its end; its exit code."""
        code = self.process.wait(WITHIN)
        self._listener.join(WITHIN)
        return code


def start(words: tuple[str, ...], directory: Path, environment: Mapping[str, str], mark: str) -> Run:
    """Start `reconcile` with *words* in a process group of its own; all it says goes to one pipe."""
    command = [sys.executable, "-u", "-m", "reconciler", *words]
    return Run(
        subprocess.Popen(
            command,
            cwd=directory,
            env={**environment, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    )


def alive(mark: str, *words: str) -> list[int]:
    """The processes of this machine that runs of *mark* have started, and whose command line has all *words*."""
    return [pid for pid, line in _marked(f"{MARK}={mark}") if all(word in line for word in words)]


def _marked(mark: str) -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name), (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it has ended
            continue
