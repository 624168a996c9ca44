"""Keeps the lab's processes running. The only loop of pid 1: start what is due, reap whatever ends, tell `processes.json`."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.child import Child

PAUSE = 1.0  # seconds before what has ended is started again
GRACE = 1.5  # seconds between asking and killing


class Stopped(Exception):
    """SIGTERM or SIGINT has come."""


@dataclass(slots=True)
class Place:
    """Where one child stands."""

    child: Child
    process: subprocess.Popen[bytes] | None = None
    due: float = 0.0
    starts: int = 0
    ended: int | None = None

    @property
    def state(self) -> str:
        if self.process:
            return "running"
        if self.ended is None:
            return "waiting"
        return {"restart": "restarting", "done": "done" if self.ended == 0 else "failed", "lost": "lost"}[self.child.end]


class Supervisor:
    """Runs *children* until told to stop."""

    def __init__(self, directory: Path, children: Iterable[Child], env: Mapping[str, str]) -> None:
        self._directory = directory
        self._env = dict(env)
        self._places = [Place(child) for child in children]

    def run(self) -> None:
        """Return once `SIGTERM` or `SIGINT` has come and every process is gone."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stop)
        try:
            while True:
                waiting = self._start_due()
                self._reap()
                if select.select([reader], [], [], 0.05 if waiting else 1.0)[0]:
                    os.read(reader, 512)
        except Stopped:
            self._end()

    def _start_due(self) -> bool:
        """Start what may start; whether anything still waits."""
        idle = [place for place in self._places if not place.process and (place.ended is None or place.child.end == "restart")]
        started = [place for place in idle if place.due <= time.monotonic() and place.child.after()]
        for place in started:
            self._start(place)
        if started:
            self._tell()
        return len(started) < len(idle)

    def _start(self, place: Place) -> None:
        child = place.child
        with (self._directory / "logs" / f"{child.name}.log").open("ab") as log:
            place.process = subprocess.Popen(
                child.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env | dict(child.env),
                cwd=self._directory,
                pass_fds=child.pass_fds,
                start_new_session=True,
            )
        place.starts += 1

    def _reap(self) -> None:
        """Collect every process that has ended, the orphans of others among them."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for place in self._places:
                if place.process and place.process.pid == pid:
                    self._note(place, os.waitstatus_to_exitcode(status))

    def _note(self, place: Place, code: int) -> None:
        if place.process:
            place.process.returncode = code
        place.process, place.ended, place.due = None, code, time.monotonic() + PAUSE
        if place.state != "done":
            log(f"{place.child.name} ended with {code}: {place.state} (see logs/{place.child.name}.log)")
        self._tell()

    def _tell(self) -> None:
        table = {
            place.child.name: {"pid": place.process.pid if place.process else None, "state": place.state, "starts": place.starts}
            for place in self._places
        }
        draft = self._directory / "processes.new"
        draft.write_text(json.dumps(table, indent=1))
        draft.replace(self._directory / "processes.json")

    def _end(self) -> None:
        """Ask every process of the namespace to end, then make it."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        deadline = time.monotonic() + GRACE
        os.kill(-1, signal.SIGTERM)
        while time.monotonic() < deadline:
            try:
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    time.sleep(0.02)
            except ChildProcessError:
                return


def _stop(*_: object) -> None:
    raise Stopped


def log(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)  # noqa: T201 - init's log is its stderr
