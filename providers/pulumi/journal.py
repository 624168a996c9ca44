"""What one run is making. The engine's own journal forgets a create as soon as the plugin that was at it has died."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from providers.intents import Intents
from reconciler.model import address
from reconciler.model.address import ResourceId

_REFUSED = re.compile(  # in providers' words: AWS or the API server has answered, and nothing was made
    r"\bStatusCode: 4\d\d\b|by the Kubernetes API server: (?!.*(EOF|time|connection|unavailable|too many))", re.IGNORECASE
)
_MAKES = frozenset({"create", "create-replacement"})


@dataclass(frozen=True, slots=True)
class Journal:
    """Strikes out what has ended for certain. What is left may still turn up, and the next run looks for it."""

    intents: Intents

    def started(self, where: str, op: str) -> None:
        if op in _MAKES and (id := _awaited(where)):
            self.intents.begin(id)

    def done(self, where: str) -> None:
        if id := _awaited(where):
            self.intents.end(id)

    def ended(self, failed: Mapping[str, str]) -> None:
        """The run is over; *failed* has the words for each address."""
        for where, words in failed.items():
            if _REFUSED.search(words):
                self.done(where)


def _awaited(where: str) -> ResourceId | None:
    """The address *where*; None for what is none of ours."""
    try:
        return address.parse(where)
    except ValueError:
        return None
