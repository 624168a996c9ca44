"""How a service stands: its members, and what its application says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.outcome import Outcome, first_lacking


@dataclass(frozen=True, slots=True)
class Stand:
    """*initial* is how its initialisation stands, None where it has none; *closed*: that also sees to it that strangers are refused.

    *since* is when its members began to stand so, *answered* when its application said that nothing is lacking; ISO 8601, "" where
    nothing tells.
    """

    members: Outcome
    initial: Outcome | None = None
    closed: bool = False
    since: str = ""
    answered: str = ""

    @property
    def outcome(self) -> Outcome:
        """What is lacking first; Done where nothing is."""
        return first_lacking(self.members, self.initial)
