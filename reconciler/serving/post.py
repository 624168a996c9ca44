"""A role and who holds it: its steps for as long as its lease is ours, and what can be told of their progress."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from reconciler import errors
from reconciler.ports import Clock, Leases

HOLDS_FOR = 30.0  # seconds after its last heartbeat that a lease of a role is respected
RETRY = 5.0  # seconds until a lease that another has is asked for again, and after a step that failed


@dataclass(frozen=True, slots=True)
class Step:
    """What a step leaves: for how many seconds to rest, and why it came no further, "" where it did."""

    rest: float
    trouble: str = ""


@dataclass(slots=True)
class Post:
    """One role of this process. It makes progress as long as its last step without trouble is no more than *bound* seconds ago."""

    name: str
    step: Callable[[], Step]
    bound: float
    leases: tuple[str, ...] = ()  # those that whoever does it holds: one process at a time, but for what is nobody's alone
    held: bool = False
    well: float | None = None  # when a step last ended without trouble
    trouble: str = ""
    said: Callable[[str], None] = field(default=lambda _: None)

    def serve(self, leases: Callable[[], Leases], clock: Clock, stopping: Callable[[], bool]) -> None:
        """Take the role whenever it is free, and step for as long as it is held; until told to stop."""
        while not stopping():
            try:
                with self._taken(leases) as lost:
                    self._steps(clock, lambda lost=lost: stopping() or lost())  # type: ignore[misc]
            except errors.ReconcilerError as error:
                self._note(error.message)
                clock.sleep(RETRY)

    def beat(self, clock: Clock) -> None:
        """A long step gets on."""
        self.well = clock.monotonic()

    @contextlib.contextmanager
    def _taken(self, leases: Callable[[], Leases]) -> Iterator[Callable[[], bool]]:
        """All leases of the role, or none; whether one of them was lost since."""
        ours = leases()
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(ours.hold(name, duration=HOLDS_FOR)) for name in self.leases]
            self.held = True
            try:
                yield lambda: any(one.lost for one in held)
            finally:
                self.held = False

    def _steps(self, clock: Clock, over: Callable[[], bool]) -> None:
        while not over():
            try:
                step = self.step()
            except errors.ReconcilerError as error:
                step = Step(RETRY, error.message)
            except Exception as error:  # noqa: BLE001 - one role's fault must not end the others; it is told, and tried again
                step = Step(RETRY, f"{type(error).__name__}: {error} (a fault of the program)")
            self._note(step.trouble)
            if not step.trouble:
                self.beat(clock)
            clock.sleep(step.rest)

    def _note(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            self.said(f"{self.name}: {trouble}")
        self.trouble = trouble
