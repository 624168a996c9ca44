"""Which way a living service's server goes from version to version, its members one at a time; each type says its own."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SERIES = 2  # numbers that a release series is called by: 4.1 of 4.1.1


@dataclass(frozen=True, slots=True)
class Upgrades:
    """By default from any version to any later one, and never back: what a newer server has written is not for an older one to read.

    *path* names release series (as many numbers of a version as are told apart) that are gone through one at a time. *kept* is how many
    numbers of a version never go back; none where nothing is kept by the members. *never* says why no version is followed by another, and
    what to do instead.
    """

    path: tuple[str, ...] = ()
    kept: int = _SERIES
    never: str = ""

    def why_not(self, before: str, after: str) -> str:
        """Why members of version *before* cannot become *after* one at a time, and what to do; "" where they can."""
        old, new = _numbers(before), _numbers(after)
        if not old or not new:
            return ""
        if self.never and old != new:
            return self.never
        if new[: self.kept] < old[: self.kept]:
            why = f"what {before} has written is not for {after} to read"
            return f'{why}; put version: "{before}" back, or restore a snapshot of the time before into a new service of version {after}'
        return self._skipped(before, after)

    def goes_on(self, before: str, after: str) -> bool:
        """Whether *after* is a step that may follow only once every member has come to *before*."""
        return self._place(before) != self._place(after)

    def _skipped(self, before: str, after: str) -> str:
        first, last = self._place(before), self._place(after)
        if not self.path or last - first in (0, 1):
            return ""
        if first < 0:
            return f"no way is known that leads there from {before}; by {self.path[0]} one comes to {after}"
        by = ", then ".join((*self.path[first + 1 : last], after))
        return f"it goes from one release series to the next; go by {by}, each with an apply of its own"

    def _place(self, version: str) -> int:
        """Where on the path *version* is; -1 where it is nowhere."""
        own = _numbers(version)
        return next((n for n, series in enumerate(self.path) if own[: len(_numbers(series))] == _numbers(series)), -1)


ANY_LATER = Upgrades()


def is_later(before: str, after: str) -> bool:
    return _numbers(after) > _numbers(before)


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers that *version* begins with."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
