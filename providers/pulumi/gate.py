"""Between preview and update: what the engine would do, held against the plan. Ours decides whether, the engine decides how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from providers.pulumi.events import Operation
from reconciler.model.change import Action, Change

_WEIGHT = {"create": 1, "import": 1, "update": 2}  # everything else takes something away
_LOSS = 3
_ALLOWED: dict[Action, int] = {
    "keep": 2,
    "create": 2,
    "adopt": 2,
    "update": 2,
    "move": 2,
    "replace": _LOSS,
    "delete": _LOSS,
    "forget": _LOSS,
}


class Gate:
    """What a run may do. *refusal* says why it was stopped, *surprises* what differs from the plan without being worse."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self.planned: Mapping[str, Change] = {str(change.id): change for change in changes}
        self.refusal = ""
        self.surprises: tuple[str, ...] = ()

    def judge(self, previewed: Iterable[Operation]) -> bool:
        """Whether the run may go on; anything more destructive than the plan's stops it."""
        previewed = tuple(previewed)
        worse = [step for step in previewed if _weight(step.op) > _ALLOWED[self.action(step.address)]]
        if worse:
            self.refusal = f"the engine would {_spelt(worse)}; the plan says {', '.join(self._say(step.address) for step in worse)}"
            return False
        self.surprises = tuple(_spelt([step]) for step in previewed if self.action(step.address) == "keep")
        return True

    def action(self, address: str) -> Action:
        change = self.planned.get(address)
        return change.action if change and change.acts else "keep"

    def _say(self, address: str) -> str:
        return f"{self.action(address)} {address}"


def _weight(op: str) -> int:
    return _WEIGHT.get(op, _LOSS)


def _spelt(steps: list[Operation]) -> str:
    return ", ".join(f"{step.op} {step.address}" + (f" ({', '.join(step.diffs)})" if step.diffs else "") for step in steps)
