"""What would be done, and why: the reason is a value, so that people and tests read the same words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reconciler.model.address import ResourceId
from reconciler.model.resource import Owner
from reconciler.model.value import Path, Value

Action = Literal["keep", "create", "adopt", "update", "replace", "delete", "forget", "move", "hold", "refuse"]

STILL: frozenset[Action] = frozenset({"keep", "hold", "refuse"})  # nothing is done about these

FOREIGN = "lives already, made by others"  # the reason of a keep that no stack declares


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field's way from *before* (live; None: absent) to *after* (declared; None: to be removed)."""

    path: Path
    before: Value
    after: Value
    secret: bool = False
    drift: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """A declared field that is left to others for *reason*: what is live, what is declared, and whether these say something else."""

    path: Path
    reason: str
    live: Value
    declared: Value
    differs: bool
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What would happen to one resource. *stack* is who runs it; *live_id* what it happens to; *needs* what has to be done before it.

    A hold that *stands* stops nothing else of its stack: what is live stands in for what is declared. *left* are the fields that are
    none of it, since others own them. *was* is the address from which it moves, "" where it does not.
    """

    id: ResourceId
    action: Action
    owner: Owner
    reason: str
    stack: str
    fields: tuple[FieldChange, ...] = ()
    impact: str = ""
    live_id: str = ""
    needs: frozenset[ResourceId] = frozenset()
    stands: bool = False
    left: tuple[Left, ...] = ()
    was: str = ""

    @property
    def acts(self) -> bool:
        return self.action not in STILL
