"""The seams of the component side: the store that remembers, and what runs a session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from reconciler.model.componentstate import ComponentState
from reconciler.model.frame import Frame
from reconciler.model.layer import Resolved
from reconciler.model.session import Session, Succeeded


class Components(Protocol):
    """What is remembered of the components of one environment."""

    def get(self, ids: Iterable[str]) -> dict[str, ComponentState]:
        """Those of *ids* that are remembered."""
        ...

    def everything(self) -> dict[str, ComponentState]:
        """All that was ever declared, by id."""
        ...

    def unsettled(self) -> tuple[ComponentState, ...]:
        """Those declared that still need layers, whether they may be tried again or not."""
        ...

    def settled(self) -> dict[str, int]:
        """How many of those declared need nothing, by configuration."""
        ...


class Sessions(Protocol):
    """The sessions of one environment, newest first where there is an order."""

    def open(self, session: Session) -> bool:
        """Record a new session; False, and nothing done, where its name is taken or a member is in another live session."""
        ...

    def live(self) -> tuple[Session, ...]: ...

    def busy(self) -> frozenset[str]:
        """The components in live sessions."""
        ...

    def session(self, name: str) -> Session | None: ...

    def sessions(self, *, configuration: str = "", limit: int = 100) -> tuple[Session, ...]: ...

    def attempts(self, key: str) -> int:
        """The number of the next attempt at the same work, from 0."""
        ...

    def verdicts(self, configuration: str, limit: int) -> tuple[Succeeded, ...]:
        """How the last sessions of a configuration ended."""
        ...

    def purge(self, before: datetime) -> int:
        """Forget the sessions that were complete by then; how many."""
        ...


class Configurations(Protocol):
    """The configurations at the commits that their branches had when they were declared."""

    def resolved(self) -> dict[str, Resolved]: ...

    def resolve(self, configuration: Resolved) -> None:
        """Remember it in the place of what had its name."""
        ...


class Records(Components, Sessions, Configurations, Protocol):
    """All of it in one store. *identity* is drawn when the store is made: a session's name holds it, so two stores never share a Job."""

    @property
    def identity(self) -> str: ...

    def commit(self, components: Sequence[ComponentState] = (), sessions: Sequence[Session] = ()) -> bool:
        """Write all of them, or none (False) where one was written by another since it was read, which its `version` tells."""
        ...


Phase = Literal["absent", "pending", "running", "succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class Sight:
    """What is to be seen of a session: its frames so far, or why they cannot be read (*unread*), and why it is where it is."""

    phase: Phase
    frames: tuple[Frame, ...] = ()
    reason: str = ""
    unread: str = ""


class SessionRunner(Protocol):
    """Runs sessions. Errors are ProviderError, TransientError where waiting may help."""

    def start(self, session: Session) -> None:
        """Begin it; nothing where one of its name was begun already."""
        ...

    def look(self, sessions: Sequence[Session]) -> Mapping[str, Sight]:
        """What is to be seen of each, with the frames after those that its record has."""
        ...

    def stop(self, name: str) -> None:
        """End it and remove what it leaves; nothing where there is none."""
        ...

    def strays(self, known: frozenset[str]) -> tuple[str, ...]:
        """The names of sessions of this environment that run here and are none of *known*."""
        ...

    def log(self, session: Session) -> Iterator[str]:
        """What Ansible said, line by line, for as long as it is kept."""
        ...
