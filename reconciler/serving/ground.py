"""What a pass stands on: the specs of a commit, and the world in which they are to come true."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from reconciler.model.desired import Desired
from reconciler.model.origin import Revision
from reconciler.world import World


@dataclass(frozen=True, eq=False)
class Ground:
    """*locked* holds the environment's lease `apply` as long as it is entered; once it is lost, the world says `stopping`."""

    world: World
    desired: Desired
    locked: Callable[[], AbstractContextManager[object]]
    close: Callable[[], None]

    @property
    def tree(self) -> str:
        return self.desired.revision.tree


class Source(Protocol):
    """The branch that is served."""

    def newest(self) -> Revision:
        """What it has now, read from where it lies. SpecError, UsageError or ProviderError where that cannot be read."""
        ...

    def open(self, commit: str) -> Ground:
        """The ground of a commit."""
        ...
