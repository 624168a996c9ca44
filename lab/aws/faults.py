"""Faults that tests order: which calls, after how many, how often, and what befalls them. Counted, never random."""

from __future__ import annotations

import itertools
import threading
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from lab.aws.calls import Call

Kind = Literal["throttle", "error", "timeout-before", "timeout-after-success", "latency", "hold", "stale"]


@dataclass(frozen=True, slots=True)
class Match:
    """Which calls: every field that is given must fit; *contains* is looked for in the request's body."""

    service: str = ""
    action: str = ""
    user: str = ""
    contains: str = ""

    def fits(self, call: Call) -> bool:
        """Whether *call* is meant."""
        pairs = ((self.service, call.service), (self.action, call.action), (self.user, call.user))
        return all(wanted in ("", found) for wanted, found in pairs) and self.contains in call.body


@dataclass(slots=True)
class Fault:
    """What befalls matching calls: *after* of them pass first, then *count* are hit (None: all). *seconds*: how long, if it takes time."""

    match: Match
    fault: Kind
    count: int | None = None
    after: int = 0
    seconds: float = 0.0
    code: str = ""
    status: int = 0
    message: str = ""
    id: int = field(default=0)
    seen: int = field(default=0)
    hits: int = field(default=0)

    def strikes(self, call: Call) -> bool:
        """Whether *call* is hit; counts it."""
        if not self.match.fits(call) or (self.fault == "stale" and call.writes):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.count is not None and self.hits >= self.count):
            return False
        self.hits += 1
        return True


ORDERED = {each.name for each in fields(Fault)} - {"id", "seen", "hits"}


def parse(document: dict[str, Any]) -> Fault:
    """The fault that *document* orders; ValueError says what is wrong with it."""
    unknown = set(document) - ORDERED
    wrong = set(document.get("match", {})) - {each.name for each in fields(Match)}
    if unknown or wrong:
        raise ValueError(f"a fault has no field {', '.join(sorted(unknown | wrong))}; it has {', '.join(sorted(ORDERED))}")
    if document.get("fault") not in get_args(Kind):
        raise ValueError(f"fault must be one of {', '.join(get_args(Kind))}, not {document.get('fault')!r}")
    return Fault(**{**document, "match": Match(**document.get("match", {}))})


class Faults:
    """The faults in force, in the order they were ordered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = itertools.count(1)
        self._faults: list[Fault] = []
        self._lifted = threading.Condition(self._lock)

    def add(self, fault: Fault) -> int:
        """Put *fault* in force; its number."""
        with self._lock:
            fault.id = next(self._number)
            self._faults.append(fault)
            return fault.id

    def clear(self, number: int | None = None) -> None:
        """Lift fault *number*, or all."""
        with self._lock:
            self._faults = [each for each in self._faults if number is not None and each.id != number]
            self._lifted.notify_all()

    def hold(self, fault: Fault) -> None:
        """Wait until *fault* is lifted."""
        with self._lifted:
            self._lifted.wait_for(lambda: fault not in self._faults)

    def read(self) -> list[dict[str, Any]]:
        """The faults in force with their counts."""
        with self._lock:
            return [asdict(each) for each in self._faults]

    def strike(self, call: Call) -> list[Fault]:
        """The faults that hit *call*, counted."""
        with self._lock:
            return [each for each in self._faults if each.strikes(call)]

    @property
    def reach(self) -> float:
        """How far back the stalest describe looks, in seconds."""
        with self._lock:
            return max((each.seconds for each in self._faults if each.fault == "stale"), default=0.0)
