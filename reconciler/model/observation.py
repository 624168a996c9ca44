"""What is live: projected when read, the payload dropped. What could not be read is unread, never absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model.address import ResourceId
from reconciler.model.value import Fields, Path


@dataclass(frozen=True, slots=True)
class Observation:
    """A live thing.

    *fields* have the shape of the declared ones. *attributes* are what a Ref can name (a volume's id, an interface's address).
    *owned* are the paths that our field manager holds (Kubernetes only). *marked* says that it carries our marks; what does not
    is never deleted. *retained* is the commit that removed its spec and kept it, "" for what is in use. *protected* is what it
    remembers of its spec's `protect`, *given_up* of its `deletionPolicy: Delete`. *busy* says why it cannot be changed just now, and until
    when; "" where it can. *stack* is the service it is marked with.
    """

    id: ResourceId
    live_id: str
    fields: Fields
    attributes: Mapping[str, str] = field(default_factory=dict)
    owned: frozenset[Path] = frozenset()
    marked: bool = True
    retained: str = ""
    protected: bool = False
    given_up: bool = False
    busy: str = ""
    stack: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """What one bulk read covers: a kind in an environment, narrowed to names that begin with *prefix*."""

    kind: str
    environment: str
    prefix: str = ""

    def covers(self, id: ResourceId) -> bool:
        return id.kind == self.kind and id.environment == self.environment and id.name.startswith(self.prefix)


@dataclass(frozen=True, slots=True)
class Observed:
    """The live state: every observation of an id (two are for a person to see), and the scopes that could not be read, with why."""

    live: Mapping[ResourceId, tuple[Observation, ...]] = field(default_factory=dict)
    unread: Mapping[Scope, str] = field(default_factory=dict)

    def why_unread(self, id: ResourceId) -> str:
        """Why *id* could not be read; "" where it was."""
        return next((why for scope, why in self.unread.items() if scope.covers(id)), "")

    def one(self, id: ResourceId) -> Observation | None:
        """The only live thing at *id*; None where there is none, or more than one."""
        found = self.live.get(id, ())
        return found[0] if len(found) == 1 else None


def gather(observations: list[Observation], unread: Mapping[Scope, str]) -> Observed:
    """All that was read, by id."""
    live: dict[ResourceId, tuple[Observation, ...]] = {}
    for observation in observations:
        live[observation.id] = (*live.get(observation.id, ()), observation)
    return Observed(live, unread)
