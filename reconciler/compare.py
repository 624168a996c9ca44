"""Declared fields against live ones: only what is declared is compared, lists by their keys, values by what they mean. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconciler.kinds import FieldPolicy, Kind
from reconciler.model.change import FieldChange
from reconciler.model.observation import Observation, Observed
from reconciler.model.resource import Resource
from reconciler.model.value import Item, Path, Ref, Value

_ABSENT = object()


def differences(resource: Resource, live: Observation, kind: Kind, observed: Observed) -> tuple[FieldChange, ...]:
    """Every declared field that is not so, then every field that is ours and declared no more. Refs are resolved against *observed*."""
    comparison = _Comparison(resource, kind, observed)
    declared = tuple(comparison.walk((), resource.fields, live.fields))
    return declared + tuple(comparison.undeclared(live))


class _Comparison:
    """One resource against one observation."""

    def __init__(self, resource: Resource, kind: Kind, observed: Observed) -> None:
        self.resource, self.kind, self.observed = resource, kind, observed

    def walk(self, path: Path, declared: Value, live: object) -> Iterator[FieldChange]:
        match resolve(declared, self.observed):
            case Mapping() as mapping if isinstance(live, Mapping) or (live is _ABSENT and mapping and not self.policy(path).canonical):
                present = live if isinstance(live, Mapping) else {}
                for name, value in mapping.items():
                    yield from self.walk((*path, name), value, present.get(name, _ABSENT))
            case list() | tuple() as items if self.list_key(path) and isinstance(live, Sequence) and not isinstance(live, str):
                yield from self.walk_list(path, items, live)
            case value:
                if not self.equal(path, value, live):
                    yield FieldChange(path, _plain(live), value, secret=self.policy(path).sensitive)

    def walk_list(self, path: Path, declared: Sequence[Value], live: Sequence[Value]) -> Iterator[FieldChange]:
        key = self.list_key(path)
        if key == "=":
            mine = {repr(self.canonical(path, resolve(item, self.observed))) for item in declared}
            theirs = {repr(self.canonical(path, item)) for item in live}
            if mine != theirs:
                yield FieldChange(path, live, declared, secret=self.policy(path).sensitive)
            return
        by_key = {str(item.get(key)): item for item in live if isinstance(item, Mapping)}
        for item in declared:
            name = str(item.get(key)) if isinstance(item, Mapping) else ""
            yield from self.walk((*path, Item(name)), item, by_key.get(name, _ABSENT))

    def undeclared(self, live: Observation) -> Iterator[FieldChange]:
        """What is ours and declared no more; of a thing that goes as a whole, not its parts as well."""
        going: set[Path] = set()
        for path in sorted(live.owned, key=lambda path: (len(path), repr(path))):
            if any(path[:length] in going for length in range(len(path))) or self.reach(path, self.resource.fields) is not _ABSENT:
                continue
            before = self.reach(path, live.fields)
            if before is not _ABSENT:
                going.add(path)
                yield FieldChange(path, _plain(before), None, secret=self.policy(path).sensitive)

    def reach(self, path: Path, value: object) -> object:
        """What stands at *path* of *value*; a Ref above it counts as standing there."""
        here: Path = ()
        for step in path:
            if isinstance(value, Ref):
                return value
            if isinstance(step, Item):
                key = self.list_key(here)
                items = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
                value = next((item for item in items if _names(item, key, step.key)), _ABSENT)
            elif isinstance(value, Mapping):
                value = value.get(str(step), _ABSENT)
            else:
                return _ABSENT
            here = (*here, step)
        return value

    def equal(self, path: Path, declared: Value, live: object) -> bool:
        if isinstance(declared, Ref):
            return False
        if live is _ABSENT:
            return declared in (None, {}, []) or self.canonical(path, declared) is None  # a kind may say that False means nothing
        return self.canonical(path, declared) == self.canonical(path, live)  # type: ignore[arg-type]

    def canonical(self, path: Path, value: Value) -> Value:
        canonical = self.policy(path).canonical
        return canonical(value) if canonical else value

    def policy(self, path: Path) -> FieldPolicy:
        return self.kind.policy(self.resource, names(path))

    def list_key(self, path: Path) -> str:
        return self.kind.list_key(self.resource, names(path))


def resolve(value: Value, observed: Observed) -> Value:
    """*value* with every Ref whose thing is live replaced by its attribute; the others stay."""
    match value:
        case Ref(id, attribute):
            live = observed.one(id)
            return live.attributes.get(attribute, value) if live else value
        case Mapping():
            return {name: resolve(item, observed) for name, item in value.items()}
        case list() | tuple():
            return [resolve(item, observed) for item in value]
        case _:
            return value


def names(path: Path) -> tuple[str, ...]:
    """*path* without the items of lists: what policies are keyed by."""
    return tuple(step for step in path if isinstance(step, str))


def _names(item: object, key: str, name: str) -> bool:
    return isinstance(item, Mapping) and str(item.get(key)) == name if key not in {"", "="} else str(item) == name


def _plain(live: object) -> Value:
    return None if live is _ABSENT else live  # type: ignore[return-value]
