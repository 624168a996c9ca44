"""What git says should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from reconciler.model.address import ResourceId
from reconciler.model.origin import Origin
from reconciler.model.value import Fields, Path

Owner = Literal["engine", "members", "sessions"]
Removal = Literal["delete", "retain"]


@dataclass(frozen=True, slots=True)
class Ceded:
    """A field that is left to others, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A declared thing.

    *stack* names the stack that declares it (a service's name, or `-`). *needs* are created before it and deleted after it.
    *owner* is who makes it so. *removal* is what happens when its spec goes: `retain` keeps the live thing and forgets it.
    *shared* means that one made by others serves as it is. *ceded* are the fields that others own. *protected* says that nothing may
    delete or replace it while what is live says so too. *moved_from* is the service of which it was before, "" for none.
    """

    id: ResourceId
    fields: Fields
    stack: str
    needs: frozenset[ResourceId] = frozenset()
    owner: Owner = "engine"
    removal: Removal = "delete"
    shared: bool = False
    ceded: tuple[Ceded, ...] = ()
    protected: bool = False
    moved_from: str = ""
    origin: Origin = field(default_factory=lambda: Origin(""))
    locate: Callable[[str], Origin] | None = field(default=None, compare=False, repr=False)  # computed when an error needs it
    spelt: Mapping[str, str] = field(default_factory=dict, compare=False)  # fields by name → their paths in the spec

    @property
    def was(self) -> ResourceId:
        """Its address before it was moved; a record's is the same, whosever it is."""
        return replace(self.id, service=self.moved_from) if self.moved_from and self.id.service else self.id

    def where(self, name: str) -> Origin:
        """The place in git that a message about field *name* should show."""
        return self.locate(self.spelt[name]) if self.locate and name in self.spelt else self.origin
