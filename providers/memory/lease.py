"""Port `Leases` in memory: holders that share a table see each other."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Self

from reconciler import errors

_numbers = itertools.count(1)


@dataclass(slots=True)
class Table:
    """Who holds what, and how often each lease has changed hands."""

    holders: dict[str, MemoryLease] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)


class MemoryLeases:
    """The leases that one run can hold; runs that meet each other share *table*."""

    def __init__(self, table: Table | None = None, token: str = "") -> None:
        self.table = table or Table()
        self.token = token or f"run-{next(_numbers)}"

    def hold(self, name: str, *, duration: float) -> MemoryLease:  # noqa: ARG002 - time stands still here
        holder = self.table.holders.get(name)
        if holder:
            raise errors.LockHeld(f"{name} is held by {holder.token}", hint="wait for it to end")
        self.table.epochs[name] = self.table.epochs.get(name, 0) + 1
        self.table.holders[name] = MemoryLease(self.table, name, self.token, self.table.epochs[name])
        return self.table.holders[name]

    def heard(self, name: str) -> float | None:
        """No time passes here: whoever held it was heard of just now."""
        return 0.0 if name in self.table.epochs else None

    def unlock(self, name: str) -> None:
        """Take the lease from whoever holds it."""
        self.table.holders.pop(name, None)


@dataclass(eq=False, slots=True)
class MemoryLease:
    """A held lease."""

    table: Table
    name: str
    token: str
    epoch: int

    @property
    def lost(self) -> bool:
        return self.table.holders.get(self.name) is not self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.release()

    def release(self) -> None:
        if not self.lost:
            del self.table.holders[self.name]
