"""Calls that may take long, each in a thread of its own: one that is slow is looked at again in the next tick, and holds nobody else up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent import futures
from dataclasses import dataclass, field

from reconciler.model.outcome import Outcome, Waiting

WITHIN = 0.5  # seconds for which a tick waits for all of them together
AT_ONCE = 32

Call = Callable[[], Outcome | None]  # None where all is well
BEGUN = Waiting("the call that was made for it is answered")
STILL = Waiting("the answer to its last call has come")


@dataclass(slots=True)
class Flights:
    """What is under way, by whom it is about."""

    _pool: futures.ThreadPoolExecutor = field(default_factory=lambda: futures.ThreadPoolExecutor(AT_ONCE, "members"))
    _under_way: dict[str, futures.Future[Outcome | None]] = field(default_factory=dict)

    def run(self, calls: Mapping[str, Call]) -> dict[str, Outcome]:
        """Begin *calls*, but none for somebody whose last has not ended; how those ended that were refused, and that others are slow."""
        waited = {name: self._pool.submit(call) for name, call in calls.items() if name not in self._under_way}
        slow = {name: STILL for name in calls if name in self._under_way}
        self._under_way |= waited
        futures.wait(self._under_way.values(), WITHIN)
        ended = {name: future for name, future in self._under_way.items() if future.done()}
        for name in ended:
            del self._under_way[name]
        slow |= {name: BEGUN for name in waited if name not in ended}
        told = {name: future.result() for name, future in ended.items()}
        return {**slow, **{name: outcome for name, outcome in told.items() if outcome and name in waited}}

    def land(self, within: float) -> None:
        """Wait for what is under way, for so many seconds at most: once a process ends, nothing of it goes on."""
        futures.wait(list(self._under_way.values()), within)
