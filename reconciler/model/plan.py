"""A plan: the changes of a revision, in the order in which they are shown and done, and the digest that a reviewer approves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.model.address import ResourceId
from reconciler.model.change import Change, FieldChange
from reconciler.model.origin import Revision
from reconciler.model.resource import Resource


@dataclass(frozen=True, slots=True)
class ComponentsSummary:
    """How the components of one configuration stand; *layers* are the indexes that somebody still needs."""

    configuration: str
    total: int
    pending: int
    failed: int
    configured: int
    layers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Drift:
    """A field whose live value left what was declared and applied, without a commit saying so.

    *field* has the live value before and what was declared after, None where the whole thing is gone; *commit* is that of the apply.
    """

    address: str
    text: str
    field: FieldChange | None = None
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that was put back time and again: who sets it, how often since when (UTC, to the minute)."""

    address: str
    path: str
    owner: str
    times: int
    since: str

    @property
    def text(self) -> str:
        return f"{self.owner} set it {self.times} times since {self.since}; add it to ignore or end that"


@dataclass(frozen=True, slots=True)
class Plan:
    """Falsy when nothing is to be done. *changes* holds keeps too; *digest* covers tree, environment and the changes with their values."""

    revision: Revision
    changes: tuple[Change, ...]
    digest: str
    components: tuple[ComponentsSummary, ...] = ()
    drift: tuple[Drift, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)  # services that are left as they are, with the fault that holds each
    fingerprint: str = ""
    kept: Mapping[ResourceId, Resource] = field(default_factory=dict)  # declared no more and not to go yet: as the engine's record has it
    warnings: tuple[str, ...] = field(default=(), compare=False)  # what the plan will have to wait for
    known: int = field(default=0, compare=False)  # live things of services when it was made: what a guard's share is of

    def __bool__(self) -> bool:
        return (
            bool(self.held)
            or any(change.action != "keep" for change in self.changes)
            or any(c.pending or c.failed for c in self.components)
        )

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    @property
    def acting(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.acts)

    @property
    def summary(self) -> Counter[str]:
        """How often each word of the footer applies: import, add, change, destroy, forget, hold, refuse, keep."""
        counts: Counter[str] = Counter()
        for change in self.changes:
            counts.update(_COUNTS_AS[change.action])
        return counts


_COUNTS_AS: dict[str, tuple[str, ...]] = {
    "create": ("add",),
    "adopt": ("import",),
    "update": ("change",),
    "move": ("change",),
    "replace": ("add", "destroy"),
    "delete": ("destroy",),
    "forget": ("forget",),
    "hold": ("hold",),
    "refuse": ("refuse",),
    "keep": ("keep",),
}
