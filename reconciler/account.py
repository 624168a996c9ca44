"""Why one resource is as it is: what declares it, what is live, who owns each field, what would happen to it and when it last did. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.fields import compare, fieldpath, writers
from reconciler.fields.fieldpath import ABSENT, Found
from reconciler.kinds import Kind
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.observation import Observation, Observed
from reconciler.model.plan import Plan
from reconciler.model.resource import Resource
from reconciler.model.value import Path, Ref, Value, spell
from reconciler.ports import Payload, Recorded

_KEYS = frozenset({"apiVersion", "kind"})
SECRET = "(sensitive value)"  # noqa: S105 - what is shown in the place of one


@dataclass(frozen=True, slots=True)
class Row:
    """One field: what is declared of it, what is live, whose it is and why."""

    path: str
    declared: Value
    live: Value
    owner: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """All that is known of one address."""

    id: ResourceId
    desired: Desired
    observed: Observed
    plan: Plan
    kind: Kind
    recorded: Recorded | None = None
    payload: Payload | None = None
    applied: Mapping[str, Any] | None = None
    resource: Resource | None = field(init=False, default=None)
    change: Change | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "resource", self.desired.resources.get(self.id))
        object.__setattr__(self, "change", next((one for one in self.plan.changes if one.id == self.id), None))

    @property
    def live(self) -> tuple[Observation, ...]:
        return self.observed.live.get(self.id, ())


def known(desired: Desired, observed: Observed, plan: Plan) -> frozenset[ResourceId]:
    """Every address of which there is anything to say."""
    return frozenset({*desired.resources, *observed.live, *(change.id for change in plan.changes)})


def rows(case: Case) -> Iterator[Row]:
    """Every declared field with whose it is, then what others have put there beside."""
    one = case.live[0] if len(case.live) == 1 else None
    paths = dict.fromkeys(_leaves(case.resource.fields)) if case.resource else {}
    for path in paths:
        yield _row(case, path, one)
    if one:
        yield from _foreign(case, one, paths)


def _row(case: Case, path: Path, live: Observation | None) -> Row:
    assert case.resource is not None  # noqa: S101 - only declared fields come here
    declared = fieldpath.reach(case.resource.fields, path)
    theirs = fieldpath.reach(live.fields, path) if live else ABSENT
    if case.kind.policy(case.resource, compare.names(path)).sensitive:
        declared, theirs = SECRET, SECRET
    return Row(spell(path), fieldpath.plain(declared), fieldpath.plain(theirs), _owner(case, path), str(case.resource.where(str(path[0]))))


def _owner(case: Case, path: Path) -> str:
    """Whose a declared field is: others' by `ignore`, or ours, and who writes it all the same."""
    resource = case.resource
    ceded = next((one for one in resource.ceded if path[: len(one.path)] == one.path), None) if resource else None
    others = writers.others(case.payload["metadata"], path) if case.payload else ()
    if ceded:
        return f"ignored ({ceded.reason})" + (f", {others[0].label}'s" if others else "")
    ours = "members" if resource and resource.owner == "members" else "ours"
    return f"{ours}, and {others[0].label} writes it too" if others else ours


def _foreign(case: Case, live: Observation, declared: Mapping[Path, None]) -> Iterator[Row]:
    """What is live and not declared: filled in by the API, or somebody's."""
    for path in _leaves(live.fields):
        if path[0] in _KEYS or any(path[: len(one)] == one or one[: len(path)] == path for one in declared):
            continue
        held = writers.holders(case.payload["metadata"], path) if case.payload else ()
        secret = case.resource is not None and case.kind.policy(case.resource, compare.names(path)).sensitive
        value = SECRET if secret or live.id.name.startswith("Secret/") else fieldpath.plain(fieldpath.reach(live.fields, path))
        yield Row(spell(path), None, value, held[0].label if held else "defaulted by the API")


def references(case: Case) -> Iterator[tuple[str, str, str]]:
    """Each reference of the declared fields: the field, what it names, and what that is now."""
    if case.resource:
        for path in _leaves(case.resource.fields):
            value = fieldpath.reach(case.resource.fields, path)
            if isinstance(value, Ref):
                found = compare.resolve(value, case.observed)
                yield spell(path), f"{value.attribute} of {value.id}", str(found)


def needing(case: Case) -> list[str]:
    """What needs it."""
    return sorted(str(id) for id, one in case.desired.resources.items() if case.id in one.needs)


def states(case: Case) -> Iterator[str]:
    """What else is to be said of what is live: that it is protected, kept, busy, shared or not ours."""
    for one in case.live:
        if one.protected or (case.recorded and case.recorded.protected):
            yield "protected: it remembers so itself, whatever the spec says"
        if one.retained:
            yield f"retained: kept when {one.retained} removed its service"
        if one.busy:
            yield f"busy: {one.busy}"
        if not one.marked:
            yield "not ours: it does not carry our marks"
    if case.resource and case.resource.shared:
        yield "shared: one made by others serves as it is"
    if len(case.live) > 1:
        yield f"ambiguous: {', '.join(sorted(one.live_id for one in case.live))} have this address"
    if why := case.observed.why_unread(case.id):
        yield f"unread: {why}"


def _leaves(value: Found, path: Path = ()) -> Iterator[Path]:
    """The paths of every value below; lists of items by their keys, other lists whole."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _leaves(item, (*path, name))
    elif isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, fieldpath.step_to(item, index)))
    else:
        yield path
