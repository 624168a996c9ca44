"""Long output for a short read: its first lines, a note of how many were left out and where all of them are, its last lines."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Fold:
    """Lines in, the lines to show out. A line that matches *opens* ends the fold: from there on all is shown."""

    head: int
    tail: int
    where: str
    opens: re.Pattern[str] | None = None
    what: str = "lines more"
    _seen: int = 0
    _held: deque[str] = field(default_factory=deque)
    _left_out: int = 0
    _open: bool = False

    def add(self, line: str) -> list[str]:
        """What is to be shown now that *line* has come."""
        if self._open:
            return [line]
        if self.opens and self.opens.match(line):
            self._open = True
            return [*self.rest(), line]
        self._seen += 1
        if self._seen <= self.head:
            return [line]
        self._held.append(line)
        if len(self._held) > self.tail:
            self._held.popleft()
            self._left_out += 1
        return []

    def rest(self) -> list[str]:
        """What is to be shown at the end."""
        lines, self._held = list(self._held), deque()
        count, self._left_out = self._left_out, 0
        return [f"  … {count} {self.what}, all in {self.where}", *lines] if count else lines
