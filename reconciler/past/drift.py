"""Drift: what left what was last applied, told apart from what a new commit asks for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from reconciler import plan
from reconciler.fields import compare
from reconciler.kinds import Kind
from reconciler.model.address import ResourceId
from reconciler.model.change import Change, FieldChange
from reconciler.model.desired import Desired
from reconciler.model.observation import Observed
from reconciler.model.plan import Drift
from reconciler.model.value import Fields, Path, spell

_NEW = frozenset({"create", "adopt"})  # of what the engine did not know, nothing was declared yet
SHOWN = 3  # drifted fields of one thing in the note; the rest are counted


@dataclass(frozen=True, slots=True)
class Past:
    """What was last declared, by address, and the commit of the apply that declared it ("" where nobody knows)."""

    declared: Mapping[ResourceId, Fields]
    commit: str = ""

    @property
    def since(self) -> str:
        return f"(since the apply of {self.commit[:7]})" if self.commit else "(since the last apply)"


def told(
    changes: Iterable[Change], past: Past, desired: Desired, observed: Observed, kinds: Mapping[str, Kind]
) -> tuple[tuple[Change, ...], tuple[Drift, ...]]:
    """*changes* with their drifted fields marked, and what a note says of each: a field that a commit changes too is both."""
    marked: list[Change] = []
    notes: list[Drift] = []
    for change in changes:
        drifted = _drifted(change, past, desired, observed, kinds)
        marked.append(replace(change, fields=tuple(_marked(change.fields, drifted))) if drifted else _emptied(change, past))
        notes += _notes(change, past, drifted)
    return tuple(marked), tuple(notes)


def _drifted(change: Change, past: Past, desired: Desired, observed: Observed, kinds: Mapping[str, Kind]) -> tuple[FieldChange, ...]:
    """The fields that *change* is about and that differ from what was last declared: before is what is live, after what was declared."""
    live, resource = observed.one(change.id), desired.resources.get(change.id)
    if live is None or resource is None or not change.fields or change.action in _NEW or change.id not in past.declared:
        return ()
    then = replace(resource, fields=past.declared[change.id])
    theirs = replace(live, owned=frozenset())  # what we hold beyond that was never asked for then
    found = compare.differences(then, theirs, kinds[change.id.kind], observed)
    return tuple(one for one in found if any(_meet(one.path, field.path) for field in change.fields))


def _emptied(change: Change, past: Past) -> Change:
    """A volume that is made in the place of one that is gone begins empty."""
    lost = change.action == "create" and change.id.kind == "volume" and change.id in past.declared
    return replace(change, impact="data: what was on the one before is lost, this begins empty") if lost else change


def _meet(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _marked(fields: tuple[FieldChange, ...], drifted: tuple[FieldChange, ...]) -> Iterator[FieldChange]:
    for field in fields:
        yield replace(field, drift=True) if any(_meet(field.path, one.path) for one in drifted) else field


def _notes(change: Change, past: Past, drifted: tuple[FieldChange, ...]) -> Iterator[Drift]:
    if change.action == "create" and change.id in past.declared:
        yield Drift(str(change.id), f"is gone {past.since}", commit=past.commit)
    for field in drifted[:SHOWN]:
        words = "(sensitive value)" if field.secret else f"{plan.shown(field.before)} live, {plan.shown(field.after)} declared"
        yield Drift(str(change.id), f"{spell(field.path)} is {words} {past.since}", field, past.commit)
    if len(drifted) > SHOWN:
        yield Drift(str(change.id), f"and {len(drifted) - SHOWN} more of its fields {past.since}", commit=past.commit)
