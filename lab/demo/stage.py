"""Where the demo plays: shows each command as a reader would type it, keeps all its output, times steps and checks promises."""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from lab.demo import listen
from lab.demo.fold import Fold
from lab.demo.listen import Result
from lab.error import LabError

WIDTH = 100
_TOTALS = re.compile(r"Plan: |No changes")


class Broken(LabError):
    """A step did not do what it promises."""


@dataclass(slots=True)
class Stage:
    """*folder* takes the whole output of every command; *env* is what commands find in their environment."""

    folder: Path
    env: Mapping[str, str]
    steps: list[tuple[str, float]] = field(default_factory=list)
    _commands: int = 0

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step of the story, timed."""
        began = time.monotonic()
        head = f"── {len(self.steps) + 1}. {title} "
        click.secho(f"\n{head}{'─' * max(3, WIDTH - len(head))}", fg="cyan", bold=True)
        yield
        self.steps.append((title, time.monotonic() - began))

    def say(self, text: str) -> None:
        """Tell the reader what comes, or what this shows."""
        for line in text.splitlines():
            click.secho(f"# {line}", dim=True)

    def show(self, command: str) -> None:
        """Show a command line as it would be typed."""
        click.echo(click.style("$ ", dim=True) + click.style(command, bold=True))

    def show_python(self, statement: str) -> None:
        """Show a Python statement that is carried out here."""
        click.echo(click.style(">>> ", dim=True) + click.style(statement, bold=True))

    def ask(self, expression: str, answer: Callable[[], str]) -> str:
        """Show a Python expression and what it comes to."""
        self.show_python(expression)
        said = answer()
        click.echo(said)
        return said

    def check(self, holds: object, promise: str) -> None:
        """Show that *promise* was kept; the demo ends where it was not."""
        if not holds:
            raise Broken(f"not as promised: {promise}", hint=f"the whole output of every command is in {self.folder}")
        click.secho(f"✓ {promise}", fg="green")

    def reconcile(self, *words: str, code: int = 0, head: int = 12, tail: int = 6) -> Result:
        """Run `reconcile` with *words*, shown; a plan is folded down to *head* and *tail* lines and its totals."""
        what = "lines more" if head else "lines of the plan"
        return self.run(["reconcile", *words], code=code, fold=Fold(head, tail, "", _TOTALS, what))

    def quietly(self, *words: str) -> str:
        """What `reconcile` answers to *words*, for a check; nothing is shown."""
        result = self._run(["reconcile", *words], Fold(0, 0, ""), told=False)
        if result.code:
            raise self._ended(["reconcile", *words], result.code, 0)
        return result.stdout

    def shell(self, line: str) -> Result:
        """Run a line of shell, shown as it is."""
        return self.run(["sh", "-c", line], shown=line)

    def quiet_shell(self, line: str) -> None:
        """Run a line of shell that is not worth a look."""
        words = ["sh", "-c", line]
        result = self._run(words, Fold(0, 0, ""), told=False)
        if result.code:
            raise self._ended(words, result.code, 0)

    def run(self, words: Sequence[str], *, code: int | None = 0, shown: str = "", fold: Fold | None = None) -> Result:
        """Run a command, shown as *shown* where it differs; Broken where it does not end with *code*."""
        self.show(shown or shlex.join(words))
        result = self._run(words, fold or Fold(20, 6, ""), told=True)
        if code is not None and result.code != code:
            raise self._ended(words, result.code, code)
        return result

    def _ended(self, words: Sequence[str], code: int, wanted: int) -> Broken:
        return Broken(
            f"`{shlex.join(words)}` ended with {code}, not {wanted}", hint=f"the whole output of every command is in {self.folder}"
        )

    def _run(self, words: Sequence[str], fold: Fold, *, told: bool) -> Result:
        self._commands += 1
        log = self.folder / f"{self._commands:02d}-{'-'.join(word for word in words[:3] if re.fullmatch(r'[a-z]+', word))}.log"
        fold.where = os.path.relpath(log)
        command = [sys.executable, "-m", "reconciler", *words[1:]] if words[0] == "reconcile" else list(words)
        bar = words[:2] == ["reconcile", "apply"] and sys.stderr.isatty()  # it draws one itself
        return listen.run(command, self.env, log, fold if told else None, bar=bar)
