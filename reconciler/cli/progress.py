"""What happens while it happens, on stderr: a bar and what is waited for on a terminal, a line each in a pipe."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, Protocol

import click

from reconciler.model.outcome import Outcome, Waiting, spell

What = Literal["start", "done", "failed"]
_DOING = {"create": "creating", "update": "updating", "delete": "destroying", "import": "importing", "forget": "forgetting"}
_DONE = {"create": "created", "update": "updated", "delete": "destroyed", "import": "imported", "forget": "forgotten (kept)"}


class Shown(Protocol):
    """Hears of every step and of every change of how things stand."""

    def step(self, address: str, what: What, words: str) -> None: ...

    def stand(self, outcomes: Mapping[str, Outcome]) -> None: ...


class Lines:
    """A line for each thing that happens, and for each change of what is waited for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began: dict[str, float] = {}
        self._last: dict[str, str] = {}

    def step(self, address: str, what: What, words: str) -> None:
        with self._lock:
            if what == "start":
                self._began[address] = time.monotonic()
                self.say(f"{address}: {_DOING.get(words, words)}")
            elif address in self._began:
                took = time.monotonic() - self._began.pop(address)
                self.say(f"{address}: {'failed' if what == 'failed' else _DONE.get(words, words)} after {took:.1f}s")
            else:
                self.say(f"{address}: {words}")

    def stand(self, outcomes: Mapping[str, Outcome]) -> None:
        with self._lock:
            for name, outcome in outcomes.items():
                words = spell(outcome) or "ready"
                if self._last.get(name) != words:
                    self._last[name] = words
                    self.say(f"{name}: {words}")

    def say(self, line: str) -> None:
        click.echo(f"  {line}", err=True)


class Bar(Lines):
    """The same on a terminal: what is done scrolls by above one bar that says what is waited for."""

    def __init__(self, total: int) -> None:
        from rich.console import Console  # noqa: PLC0415 - only on a terminal
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        super().__init__()
        self._waits: dict[str, str] = {}  # two controllers tell of theirs, each at its own pace
        columns = (BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self.progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.progress.add_task("", total=total or 1)

    def step(self, address: str, what: What, words: str) -> None:
        if what == "start":  # the bar moves when it ends
            with self._lock:
                self._began[address] = time.monotonic()
            return
        super().step(address, what, words)
        self.progress.advance(self.task)

    def stand(self, outcomes: Mapping[str, Outcome]) -> None:
        super().stand({name: outcome for name, outcome in outcomes.items() if not isinstance(outcome, Waiting)})
        with self._lock:
            for name, outcome in outcomes.items():
                if isinstance(outcome, Waiting):
                    self._waits[name] = f"{name} waits until {outcome.until}"
                else:
                    self._waits.pop(name, None)
            first = next(iter(self._waits.values()), "")
        self.progress.update(self.task, description=first[:90])

    def say(self, line: str) -> None:
        self.progress.console.print(f"  {line}", markup=False, highlight=False)


@contextmanager
def shown(total: int, *, plain: bool) -> Iterator[Shown]:
    """A bar on a terminal, lines elsewhere."""
    if plain or not sys.stderr.isatty():
        yield Lines()
        return
    bar = Bar(total)
    with bar.progress:
        yield bar
