"""All that the lab's AWS holds beside moto's own state, and the one lock under which both are touched."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

from moto.core.utils import utcnow

from lab.aws.disks import Disks
from lab.aws.events import Events
from lab.aws.later import Later
from lab.aws.past import Past
from lab.aws.settings import Settings


class World:
    """One account's world. Moto has no locks of its own, so every call into it is made under *lock*."""

    def __init__(self, settings: Settings, disks: Disks | None = None) -> None:
        self.settings = settings
        self.disks = disks or Disks()
        self.lock = threading.RLock()
        self.past = Past()
        self.later = Later(self.lock, self.past.keep)
        self.events = Events()
        self.tokens: dict[tuple[str, str], tuple[Any, Any]] = {}
        """(action, client token) → what was asked with it, what was made for it."""
        self.parted: set[str] = set()
        """Associations of Elastic IP addresses that were undone; undoing one again is no error."""
        self.changes: dict[str, tuple[Any, float]] = {}
        """Route 53 change → when it was submitted, the moment (monotonic) it is in sync."""

    def now(self) -> datetime:
        """The account's own time, in UTC without saying so, as moto has it; a test sets it ahead for what would take a day."""
        return utcnow() + timedelta(seconds=self.settings.ahead)
