"""Everything that can go wrong, as one tree. Each error says what, where and what to do.

ReconcilerError(message, hint)
├ SpecError(faults)      the commit is wrong        → a person, in the pull request; never retried
├ UsageError             the command line or the machine is not as needed
├ UnsafePlanError        the plan crosses a guard   → a person, with the flag named in the hint
├ LockHeld               another run holds the environment
├ StalePlan              the world or the commit moved since the plan was made
├ Interrupted            stopped by a person or a deadline, safe to run again
└ ProviderError          the world refused
  └ TransientError       the next pass may succeed  → back-off, no page
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.origin import Fault


class ReconcilerError(Exception):
    """Root of the tree. *hint* is what the reader should do next; it may be empty."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SpecError(ReconcilerError):
    """The specs of a commit are wrong. Carries every fault found, in file order."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)), hint="mend the lines named above; nothing was changed")


class UsageError(ReconcilerError):
    """The command line, the settings or the machine are not as a command needs them."""


class UnsafePlanError(ReconcilerError):
    """A plan crosses a guard; the hint names the flag that lets it pass."""


class LockHeld(ReconcilerError):
    """Another run holds the environment."""


class StalePlan(ReconcilerError):
    """What was approved is no longer what would be done."""


class Interrupted(ReconcilerError):
    """Stopped by a signal; safe to run again."""


class ProviderError(ReconcilerError):
    """AWS, Kubernetes, git or the engine refused. *code* is its own word for it, *status* the HTTP code; "" and 0 where it has none."""

    def __init__(self, message: str, *, hint: str = "", code: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.status = status


class TransientError(ProviderError):
    """Refused for now: throttled, unreachable or busy."""
