"""Runs a command and hears both of its channels as they come: all is kept in a file, what is worth a look is shown."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread
from typing import IO

import click

from lab.demo.fold import Fold

_BEGINS = re.compile(r": (creating|updating|destroying|importing|forgetting)$")


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended, and what it said on each channel."""

    code: int
    stdout: str
    stderr: str


def run(command: Sequence[str], env: Mapping[str, str], log: Path, fold: Fold | None, *, bar: bool = False) -> Result:
    """Run *command*; its output is shown folded, without *fold* not at all. With *bar* its stderr is the terminal, and not kept."""
    heard = subprocess.PIPE
    process = subprocess.Popen(
        command, env=dict(env), stdin=subprocess.DEVNULL, stdout=heard, stderr=None if bar else heard, text=True, errors="replace"
    )
    with log.open("w") as kept, process:
        one_at_a_time = Lock()
        said, progress = _Heard(fold, kept, told=fold is not None), _Heard(None, kept, told=fold is not None)
        listeners = [
            Thread(target=_listen, args=(stream, channel, one_at_a_time))
            for stream, channel in ((process.stdout, said), (process.stderr, progress))
        ]
        for listener in listeners:
            listener.start()
        for listener in listeners:
            listener.join()
    return Result(process.returncode, "".join(said.lines), "".join(progress.lines))


def _listen(stream: IO[str] | None, heard: _Heard, one_at_a_time: Lock) -> None:
    for line in stream or ():
        with one_at_a_time:
            heard.line(line)
    with one_at_a_time:
        heard.end()


@dataclass(slots=True)
class _Heard:
    """One channel of a command: kept whole, shown folded. What only says that a thing begins is not shown: its end is."""

    fold: Fold | None
    log: IO[str]
    told: bool
    lines: list[str] = field(default_factory=list)

    def line(self, line: str) -> None:
        self.lines.append(line)
        self.log.write(line)
        text = line.rstrip()
        if self.fold:
            self._show(self.fold.add(text))
        elif not _BEGINS.search(text):
            self._show([text])

    def end(self) -> None:
        self._show(self.fold.rest() if self.fold else [])

    def _show(self, lines: list[str]) -> None:
        for line in lines if self.told else ():
            click.echo(line)
