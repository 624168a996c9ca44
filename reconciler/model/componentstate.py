"""What is remembered of a component: what it shall have, what was applied to it, and the epoch that late reports are held against."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Applied = Literal["applied", "failed", "incomplete", "skipped"]
Status = Literal["unconfigured", "failed", "pending", "configured"]

UNLIMITED = -1  # as a retry policy


@dataclass(frozen=True, slots=True)
class Entry:
    """The last thing that happened to one layer: the commit, and the signature of everything that went into it.

    *last_updated* is aware and in UTC. *message* says why it failed, as Ansible said it.
    """

    clone_url: str
    playbook: str
    commit: str
    signature: str
    status: Applied
    session: str
    last_updated: datetime
    message: str = ""


@dataclass(frozen=True, slots=True)
class ComponentState:
    """One component. *layers* are the signatures of its desired layers, in order; "" stands for one that is not resolved yet.

    *epoch* grows whenever state is cleared or what is desired changes; a report that carries an older one changes nothing.
    *version* grows with every write and is what a writer compares. The last of *state* is the latest attempt.
    """

    id: str
    configuration: str = ""
    layers: tuple[str, ...] = ()
    enabled: bool = True
    retry_policy: int = 3
    error_count: int = 0
    epoch: int = 0
    state: tuple[Entry, ...] = ()
    declared: bool = True
    known: bool = True  # whether a configuration of that name exists
    version: int = 0

    @property
    def spent(self) -> bool:
        """Whether it has failed as often as it may: the policy counts attempts, so 0 means never."""
        return self.retry_policy != UNLIMITED and self.error_count >= self.retry_policy

    @property
    def last_status(self) -> str:
        return self.state[-1].status if self.state else ""
