"""Declared fields against live ones: only what is declared is compared, lists by their keys, values by what they mean. Pure.

What is equal as it stands is passed over without another question: almost everything is, and this runs for every field of every object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from reconciler.fields import owned
from reconciler.kinds import FieldPolicy, Kind, ListKey
from reconciler.model.change import FieldChange
from reconciler.model.observation import Observation, Observed
from reconciler.model.resource import Resource
from reconciler.model.value import Fields, Item, Path, Ref, Value, item

ORDER = Item("(order)")  # of a list's items; nothing is named so
_ABSENT = object()
_NOTHING: Fields = {}
_STAYS = (False, _NOTHING)
_ALONE = (_NOTHING, _NOTHING)


def differences(resource: Resource, live: Observation, kind: Kind, observed: Observed) -> tuple[FieldChange, ...]:
    """Every declared field that is not so, then every one that is ours alone and declared no more. Refs are resolved against *observed*."""
    comparison = _Comparison(resource, kind, observed, live.owned)
    declared = tuple(comparison.walk((), resource.fields, live.fields))
    going = sorted(comparison.undeclared((), owned.tree(live.owned), resource.fields, live.fields), key=_shortest)
    return declared + tuple(going)


class _Comparison:
    """One resource against one observation."""

    def __init__(self, resource: Resource, kind: Kind, observed: Observed, ours: frozenset[Path]) -> None:
        self.resource, self.kind, self.observed, self.ours = resource, kind, observed, ours

    def walk(self, path: Path, declared: Value, live: object, beside: tuple[Fields, Fields] = _ALONE) -> Iterator[FieldChange]:
        """The differences at and below *path*; *beside* is live and declared around it."""
        if isinstance(declared, Ref):
            declared = resolve(declared, self.observed)
        if declared == live or self.says_nothing(path, declared, live):
            return
        if is_mapping(declared) and self.enters(path, declared, live):
            yield from self.walk_mapping(path, declared, live if is_mapping(live) else _NOTHING)
        elif is_list(declared) and is_list(live) and self.list_key(path) != "":
            yield from self.walk_list(path, declared, live)
        else:
            value = resolve(declared, self.observed)
            if not self.equal(path, value, live, beside):
                yield FieldChange(path, _plain(live), value, secret=self.policy(path).sensitive)
                yield from self.ruled_out(path, beside)

    def ruled_out(self, path: Path, beside: tuple[Fields, Fields]) -> Iterator[FieldChange]:
        """What cannot stand beside the field at *path*, and stays: it is not ours to take away."""
        live, declared = beside
        for name in sorted(self.policy(path).rivals & live.keys() - declared.keys()):
            if (*path[:-1], name) not in self.ours:
                yield FieldChange((*path[:-1], name), live[name], live[name])

    def walk_mapping(self, path: Path, declared: Fields, live: Fields) -> Iterator[FieldChange]:
        for name, value in declared.items():
            present = live.get(name, _ABSENT)
            if value != present:
                yield from self.walk((*path, name), value, present, (live, declared))

    def walk_list(self, path: Path, declared: Sequence[Value], live: Sequence[Value]) -> Iterator[FieldChange]:
        key = self.list_key(path)
        if key == "=":
            wanted = [resolve(one, self.observed) for one in declared]
            if {repr(self.canonical(path, one)) for one in wanted} != {repr(self.canonical(path, one)) for one in live}:
                yield FieldChange(path, live, wanted, secret=self.policy(path).sensitive)
            return
        there, steps = steps_to(live, key), steps_to(declared, key)
        by_key = dict(zip(reversed(there), reversed(live), strict=True))
        for step, one in zip(steps, declared, strict=True):
            present = by_key.get(step, _ABSENT)
            if one != present:
                yield from self.walk((*path, step), one, present)
        if there != steps:
            yield from _order(path, steps, there)

    def says_nothing(self, path: Path, declared: object, live: object) -> bool:
        """Whether *declared* is a null over what others may add to: it takes nothing of theirs away."""
        if declared is not None:
            return False
        return not self.policy(path).whole if is_mapping(live) else is_list(live) and isinstance(self.list_key(path), tuple)

    def enters(self, path: Path, declared: Fields, live: object) -> bool:
        """Whether the fields of a mapping are told one by one; of what is new as a whole only where nothing says what it means."""
        policy = self.policy(path)
        return not policy.whole and (is_mapping(live) or (live is _ABSENT and bool(declared) and not policy.canonical))

    def undeclared(self, path: Path, ours: owned.Tree, declared: object, live: Any) -> Iterator[FieldChange]:
        """What is ours alone and declared no more; of a thing that goes as a whole, not its parts as well."""
        if isinstance(declared, Ref):
            return
        key = self.list_key(path) if is_list(live) else ""
        mine, theirs = _opened(declared, key), _opened(live, key)
        for step, (alone, below) in ours.items():
            if step not in theirs:
                continue
            if step not in mine and alone and not (below and is_list(theirs[step])):  # a list that merges goes item by item
                yield from self.removal((*path, step), theirs[step], _after(ours, mine, theirs))
            elif below:
                yield from self.undeclared((*path, step), below, mine.get(step), theirs[step])

    def removal(self, path: Path, before: Value, beside: Fields) -> Iterator[FieldChange]:
        """What happens to a field that nobody holds any more: it goes, or the API fills it in again."""
        policy = self.policy(path)
        filled = self.canonical(path, policy.default(beside, before)) if policy.default and isinstance(path[-1], str) else None
        if filled != self.canonical(path, before):
            yield FieldChange(path, before, filled, secret=policy.sensitive)

    def equal(self, path: Path, declared: Value, live: object, beside: tuple[Fields, Fields]) -> bool:
        if isinstance(declared, Ref):
            return False
        mine, default = self.canonical(path, declared), self.policy(path).default
        if mine is None and default:
            mine = self.canonical(path, default({**beside[0], **beside[1]}, _plain(live)))
        if live is _ABSENT:
            return mine is None or (declared in (None, {}, []) and not self.policy(path).canonical)
        return mine == self.canonical(path, live)  # type: ignore[arg-type]

    def canonical(self, path: Path, value: Value) -> Value:
        canonical = self.policy(path).canonical
        return canonical(value) if canonical else value

    def policy(self, path: Path) -> FieldPolicy:
        return self.kind.policy(self.resource, names(path))

    def list_key(self, path: Path) -> ListKey:
        return self.kind.list_key(self.resource, names(path))


def resolve(value: Value, observed: Observed) -> Value:
    """*value* with every Ref whose thing is live replaced by its attribute; the others stay."""
    match value:
        case Ref(id, attribute):
            live = observed.one(id)
            return live.attributes.get(attribute, value) if live else value
        case Mapping():
            return {name: resolve(one, observed) for name, one in value.items()}
        case list() | tuple():
            return [resolve(one, observed) for one in value]
        case _:
            return value


def names(path: Path) -> tuple[str, ...]:
    """*path* without the items of lists: what policies are keyed by."""
    return tuple([step for step in path if isinstance(step, str)])


def steps_to(items: Sequence[Value], key: ListKey) -> list[Item]:
    """The steps to *items* of a list that merges by *key*."""
    fields = (key,) if isinstance(key, str) else key
    if not fields:
        return [item(one) for one in items]
    return [item(*[one.get(field) for field in fields]) if isinstance(one, Mapping) else Item("") for one in items]


def is_mapping(value: object) -> TypeGuard[Fields]:
    return isinstance(value, dict) or isinstance(value, Mapping)  # noqa: SIM101 - the first is quick, and almost always the answer


def is_list(value: object) -> TypeGuard[Sequence[Value]]:
    return isinstance(value, list | tuple)


def _order(path: Path, wanted: Sequence[Item], there: Sequence[Item]) -> Iterator[FieldChange]:
    """What is on both sides takes the declared order; where others' items stand among them is nobody's concern."""
    known, named = frozenset(there), frozenset(wanted)
    before = [step.key for step in dict.fromkeys(there) if step in named]
    after = [step.key for step in wanted if step in known]
    if before != after:
        yield FieldChange((*path, ORDER), before, after)


def _opened(value: object, key: ListKey) -> Mapping[owned.Step, Value]:
    """What stands below *value*, by step."""
    if is_mapping(value):
        return value  # type: ignore[return-value] # whose names are steps
    if is_list(value) and isinstance(key, tuple):
        return dict(zip(reversed(steps_to(value, key)), reversed(value), strict=True))
    return {}


def _after(ours: owned.Tree, declared: Mapping[owned.Step, Value], live: Mapping[owned.Step, Value]) -> Fields:
    """The mapping once what goes is gone."""
    kept = {str(name): value for name, value in live.items() if not ours.get(name, _STAYS)[0]}
    return {**kept, **{str(name): value for name, value in declared.items()}}


def _shortest(change: FieldChange) -> tuple[int, str]:
    return len(change.path), repr(change.path)


def _plain(live: object) -> Value:
    return None if live is _ABSENT else live  # type: ignore[return-value]
