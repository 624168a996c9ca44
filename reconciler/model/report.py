"""The only thing that a pass returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model.origin import Revision
from reconciler.model.outcome import Done, Failed, Outcome, Waiting


@dataclass(frozen=True, slots=True)
class Report:
    """How everything of a revision ended, by address, service or configuration."""

    revision: Revision
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return all(isinstance(outcome, Done) for outcome in self.outcomes.values())

    @property
    def failed(self) -> dict[str, Failed]:
        return {name: outcome for name, outcome in self.outcomes.items() if isinstance(outcome, Failed)}

    @property
    def waiting(self) -> dict[str, Waiting]:
        return {name: outcome for name, outcome in self.outcomes.items() if isinstance(outcome, Waiting)}
