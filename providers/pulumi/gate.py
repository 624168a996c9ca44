"""Between preview and update: what the engine would do, held against the plan. Ours decides whether, the engine decides how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from providers.pulumi import fields
from providers.pulumi.events import Operation
from reconciler.model.allowance import Allowance
from reconciler.model.change import Action, Change
from reconciler.model.value import spell
from reconciler.ports import Seen, Verdict
from reconciler.resources import marks

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
_EXPECTED: dict[Action, frozenset[str]] = {
    "create": frozenset({"create"}),
    "adopt": frozenset({"import", "update"}),
    "update": frozenset({"update"}),
    "move": frozenset({"import", "update"}),
    "replace": frozenset({"replace", "create", "delete", "create-replacement", "delete-replaced"}),
    "delete": frozenset({"delete"}),
    "forget": frozenset({"delete"}),
}
_LIVES: frozenset[Action] = frozenset({"keep", "adopt", "update", "move"})  # the plan has seen it


class Gate:
    """What a run may do. *refusal* says why it was stopped, *surprises* what differs from the plan without being worse.

    *allowed* are differences that are not worth a word; nothing that is worse than the plan can be among them. *leftover* is what an
    earlier run has replaced and did not come to delete any more, by address: its live id.
    """

    def __init__(self, changes: Iterable[Change], allowed: Iterable[Allowance] = (), leftover: Mapping[str, str] | None = None) -> None:
        self.planned: Mapping[str, Change] = {str(change.id): change for change in changes}
        self.allowed = tuple(allowed)
        self.leftover = leftover or {}
        self.refusal = ""
        self.surprises: tuple[str, ...] = ()

    def judge(self, previewed: Iterable[Operation]) -> bool:
        """Whether the run may go on; anything more destructive than the plan's stops it."""
        previewed = tuple(previewed)
        worse = [step for step in previewed if self.is_worse(step)]
        if worse:
            said = f"the engine would {_spelt(worse)}; the plan says {', '.join(self._say(step.address) for step in worse)}"
            more = len(previewed) > len(worse) or bool(self._acting())
            self.refusal = "\n  ".join((said, *(self._both(previewed) if more else ())))
            return False
        self.surprises = tuple(self._differences(previewed))
        return True

    def is_worse(self, step: Operation) -> bool:
        """Whether *step* takes away what the plan leaves, or makes a second one of what the plan has seen."""
        change = self.planned.get(step.address)
        if step.op in {"delete", "delete-replaced"} and step.address in self.leftover:
            return change is not None and change.live_id == self.leftover[step.address]
        doubles = step.op == "create" and change is not None and bool(change.live_id) and change.action in _LIVES
        return doubles or _weight(step.op) > _ALLOWED[self.action(step.address)]

    def views(self, previewed: Iterable[Operation]) -> Iterator[Seen]:
        """Every operation beside the plan, and every planned change that is none; judges nothing."""
        previewed, bare = tuple(previewed), Gate(self.planned.values())
        for step in previewed:
            verdict: Verdict = "planned" if bare.differs(step) is None else "allowed" if self.differs(step) is None else "differs"
            yield Seen(step.address, step.op, step.fields, self.action(step.address), "worse" if self.is_worse(step) else verdict)
        told = {change.id for change in self.undone(previewed)}
        for change in bare.undone(previewed):
            yield Seen(str(change.id), "same", (), change.action, "differs" if change.id in told else "allowed")

    def differs(self, step: Operation) -> tuple[str, ...] | None:
        """What of *step* the plan does not say: its fields, none for the whole of it; None where the plan says it all, or it is allowed."""
        change = self.planned.get(step.address)
        if change is None or step.op not in _EXPECTED.get(change.action, frozenset()):
            return self._uncovered(step, step.fields) if step.op == "update" else None if self._is_allowed(step.op, step.address) else ()
        if step.op != "update" or change.action != "update" or not step.fields:
            return None
        planned = [*map(fields.path, change.fields), f"tags.{marks.MODIFIED}"]  # which `apply` adds to what the plan says
        beyond = tuple(field for field in step.fields if not fields.touches(field, planned))
        return self._uncovered(step, beyond) if beyond else None

    def undone(self, previewed: Iterable[Operation]) -> Iterator[Change]:
        """The planned changes that the engine sees no need for; what is only to be forgotten may long be."""
        seen = {step.address for step in previewed}
        for change in self._acting():
            if str(change.id) not in seen and change.action != "forget" and not self._is_allowed("same", str(change.id)):
                yield change

    def action(self, address: str) -> Action:
        change = self.planned.get(address)
        return change.action if change and change.acts else "keep"

    def _acting(self) -> list[Change]:
        return [change for change in self.planned.values() if change.acts]

    def _say(self, address: str) -> str:
        return f"{self.action(address)} {address}"

    def _both(self, previewed: tuple[Operation, ...]) -> Iterator[str]:
        yield "all that the plan says:"
        yield from (f"  {change.action} {change.id}{_told(spell(field.path) for field in change.fields)}" for change in self._acting())
        if not self._acting():
            yield "  nothing"
        yield "all that the engine would do:"
        yield from (f"  {_spelt([step])}" for step in previewed)

    def _differences(self, previewed: tuple[Operation, ...]) -> Iterator[str]:
        for step in previewed:
            beyond = self.differs(step)
            if beyond is not None:
                yield f"the engine also did: {step.op} {step.address}{_told(beyond)}"
            change = self.planned.get(step.address)
            if change and change.action == step.op == "update" and step.before:
                told = (fields.moved(change.id.kind, field, step.before) for field in change.fields)
                yield from (f"{step.address}: {words} since it was planned" for words in told if words)
        for change in self.undone(previewed):
            names = _told(spell(field.path) for field in change.fields) if change.action == "update" else ""
            yield f"the engine saw nothing to do for {change.id}; the plan says {change.action}{names}"

    def _uncovered(self, step: Operation, of: tuple[str, ...]) -> tuple[str, ...] | None:
        """Those fields of an update that nobody has allowed; None where that is none."""
        left = tuple(field for field in of if not self._is_allowed("update", step.address, field))
        return left if left or not of else None

    def _is_allowed(self, op: str, address: str, field: str = "") -> bool:
        return any(one.covers(op, address, field) for one in self.allowed)


def _weight(op: str) -> int:
    return _WEIGHT.get(op, _LOSS)


def _spelt(steps: list[Operation]) -> str:
    return ", ".join(f"{step.op} {step.address}{_told(step.fields)}" for step in steps)


def _told(names: Iterable[str]) -> str:
    told = ", ".join(names)
    return f" ({told})" if told else ""
