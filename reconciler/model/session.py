"""A session: one run of some layers of a configuration against some components, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from reconciler.model.work import Work

Progress = Literal["pending", "running", "complete"]
Succeeded = Literal["none", "unknown", "false", "true"]

_PROGRESS: tuple[Progress, ...] = ("pending", "running", "complete")
_SUCCEEDED: tuple[Succeeded, ...] = ("none", "unknown", "false", "true")


@dataclass(frozen=True, slots=True)
class Session:
    """A snapshot of what to do (*work*), for the components in *epochs* as they were at that epoch, and its record.

    *key* is the same for the same work on the same epochs, *attempt* tells its repetitions apart; together they make the name.
    *frames* is the number of the last frame that was applied, *finished* are the layers whose playbook ended with 0, *failed* the
    components that Ansible failed on. *claimed* is set before its Job is made. *version* is what a writer compares.
    """

    name: str
    configuration: str
    work: Work
    epochs: Mapping[str, int]
    key: str
    created: datetime
    attempt: int = 0
    status: Progress = "pending"
    succeeded: Succeeded = "none"
    claimed: bool = False
    frames: int = 0
    finished: tuple[int, ...] = ()
    failed: tuple[str, ...] = ()
    ended: int | None = None  # the code of its last frame
    started: datetime | None = None
    completed: datetime | None = None
    reason: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    version: int = 0

    @property
    def live(self) -> bool:
        return self.status != "complete"

    @property
    def layers(self) -> tuple[int, ...]:
        return tuple(layer.index for layer in self.work.layers)

    @property
    def members(self) -> tuple[str, ...]:
        return tuple(sorted(self.epochs))

    def advance(self, status: Progress = "pending", succeeded: Succeeded = "none", **fields: Any) -> Session:
        """This session further on; what is known never goes back, whatever order reports come in."""
        return replace(
            self,
            status=max(self.status, status, key=_PROGRESS.index),
            succeeded=max(self.succeeded, succeeded, key=_SUCCEEDED.index),
            **fields,
        )
