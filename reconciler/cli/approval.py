"""How a plan comes to be approved: by a file, by its digest, beforehand, or by a person at a terminal. Silence is none of these."""

from __future__ import annotations

import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import click

from reconciler import errors, planfile, version
from reconciler.bootstrap import Home
from reconciler.loop import Prepared
from reconciler.planfile import Basis, Saved

_LISTENS = 0.5  # seconds after which a signal is heard at the latest


@dataclass(frozen=True, slots=True)
class Approval:
    """How the plan was approved: a file, a digest, beforehand, or not yet."""

    saved: Saved | None = None
    digest: str = ""
    auto: bool = False

    @property
    def asks(self) -> bool:
        """Whether somebody still has to be asked."""
        return not (self.saved or self.digest or self.auto)

    def check(self, made: Prepared, home: Home) -> None:
        """Raise StalePlan where *made* is not what was approved."""
        recalled = self.digest and home.recall(self.digest)
        saved = self.saved or (planfile.load(recalled, "the approved plan") if recalled else None)
        if saved:
            place = home.identity() if self.saved else {}
            planfile.check(saved, made.plan, version.VERSION, home.clock.now(), basis(made, place))
        elif self.digest and self.digest != made.plan.digest:
            told = f"digest {self.digest[:12]} was approved, this plan is {made.plan.digest[:12]}"
            raise errors.StalePlan(told, hint="read the plan above")


def basis(made: Prepared, place: dict[str, str]) -> Basis:
    """What *made* was made from."""
    return Basis(tuple(sorted(made.only)), place, made.observed)


def ask(question: str = "Only 'yes' applies this plan") -> None:
    """Ask whether what was shown may be done.

    Raises:
        UsageError: nobody can be asked, or somebody said no.
    """
    if not sys.stdin.isatty():
        hint = "give a plan file, --digest or --auto-approve"
        raise errors.UsageError("nobody approved this plan, and there is no terminal to ask at", hint=hint)
    with _interrupted_by_a_key():
        answer = _answer(question)
    if answer != "yes":
        raise errors.UsageError("not approved; nothing was changed")


def _answer(question: str) -> str:
    """The line that is typed. It is awaited here: a signal that comes just before a blocking read would be heard after it only."""
    click.echo(f"{question}: ", nl=False)
    while not select.select([sys.stdin], [], [], _LISTENS)[0]:
        pass
    return sys.stdin.readline().strip()


def require_unmoved(shown: Prepared, now: Prepared, home: Home) -> None:
    """Raise StalePlan where what was read again, *now* that somebody took their time, is not what they were *shown*."""
    said = planfile.load(planfile.dump(shown.plan, version.VERSION, home.clock.now(), basis(shown, {})), "the plan above")
    planfile.check(said, now.plan, version.VERSION, home.clock.now(), basis(now, {}))


@contextmanager
def _interrupted_by_a_key() -> Iterator[None]:
    """While nobody has said anything, nothing is in flight that an interruption would have to wait for."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, one in before.items():
            signal.signal(number, one)
