"""Time and names that stand still: a clock that only sleeping moves, a resolver that answers from a table."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class FixedClock:
    """Begins at *time* (2026-01-01) and moves when somebody sleeps, or by `time += …`."""

    time: float = 1_767_225_600.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@dataclass(slots=True)
class MemoryResolver:
    """What each name resolves to; a name that is not there to nothing."""

    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def addresses(self, name: str) -> tuple[str, ...]:
        return self.names.get(name.lower().removesuffix("."), ())
