"""Declared fields against live ones: only what is declared is compared, lists by their keys, values by what they mean. Pure.

What is equal as it stands is passed over without another question: almost everything is, and this runs for every field of every object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconciler import owned
from reconciler.kinds import FieldPolicy, Kind, ListKey
from reconciler.model.change import FieldChange
from reconciler.model.observation import Observation, Observed
from reconciler.model.resource import Resource
from reconciler.model.value import Fields, Item, Path, Ref, Value, item

_ABSENT = object()
_NOTHING: Fields = {}
_ALONE = (_NOTHING, _NOTHING)


def differences(resource: Resource, live: Observation, kind: Kind, observed: Observed) -> tuple[FieldChange, ...]:
    """Every declared field that is not so, then every one that is ours alone and declared no more. Refs are resolved against *observed*."""
    comparison = _Comparison(resource, kind, observed)
    declared = tuple(comparison.walk((), resource.fields, live.fields))
    going = sorted(comparison.undeclared((), owned.tree(live.owned), resource.fields, live.fields), key=_shortest)
    return declared + tuple(going)


class _Comparison:
    """One resource against one observation."""

    def __init__(self, resource: Resource, kind: Kind, observed: Observed) -> None:
        self.resource, self.kind, self.observed = resource, kind, observed

    def walk(self, path: Path, declared: Value, live: object, beside: tuple[Fields, Fields] = _ALONE) -> Iterator[FieldChange]:
        """The differences at and below *path*; *beside* is live and declared around it."""
        if declared == live or self.says_nothing(path, declared, live):
            return
        if isinstance(declared, Ref):
            declared = resolve(declared, self.observed)
        match declared:
            case Mapping() if self.enters(path, declared, live):
                present = live if isinstance(live, Mapping) else _NOTHING
                for name, value in declared.items():
                    yield from self.walk((*path, name), value, present.get(name, _ABSENT), (present, declared))
            case list() | tuple() if isinstance(live, Sequence) and not isinstance(live, str) and self.list_key(path) != "":
                yield from self.walk_list(path, declared, live)
            case _:
                value = resolve(declared, self.observed)
                if not self.equal(path, value, live, beside):
                    yield FieldChange(path, _plain(live), value, secret=self.policy(path).sensitive)

    def says_nothing(self, path: Path, declared: object, live: object) -> bool:
        """Whether *declared* is a null over what others may add to: it takes nothing of theirs away."""
        if declared is not None or isinstance(live, str) or not isinstance(live, Mapping | Sequence):
            return False
        return not self.policy(path).whole if isinstance(live, Mapping) else isinstance(self.list_key(path), tuple)

    def enters(self, path: Path, declared: Fields, live: object) -> bool:
        """Whether the fields of a mapping are told one by one; of what is new as a whole only where nothing says what it means."""
        policy = self.policy(path)
        return not policy.whole and (isinstance(live, Mapping) or (live is _ABSENT and bool(declared) and not policy.canonical))

    def walk_list(self, path: Path, declared: Sequence[Value], live: Sequence[Value]) -> Iterator[FieldChange]:
        key = self.list_key(path)
        if key == "=":
            wanted = [resolve(one, self.observed) for one in declared]
            if {repr(self.canonical(path, one)) for one in wanted} != {repr(self.canonical(path, one)) for one in live}:
                yield FieldChange(path, live, wanted, secret=self.policy(path).sensitive)
            return
        by_key = {step_to(one, key): one for one in reversed(live)}
        steps = [step_to(one, key) for one in declared]
        for step, one in zip(steps, declared, strict=True):
            yield from self.walk((*path, step), one, by_key.get(step, _ABSENT))
        yield from _order(path, steps, [step_to(one, key) for one in live])

    def undeclared(self, path: Path, ours: owned.Tree, declared: object, live: object) -> Iterator[FieldChange]:
        """What is ours alone and declared no more; of a thing that goes as a whole, not its parts as well."""
        if isinstance(declared, Ref):
            return
        key = self.list_key(path) if isinstance(live, Sequence) and not isinstance(live, str) else ""
        mine, theirs = _opened(declared, key), _opened(live, key)
        going = {step for step in ours if step in theirs and step not in mine}
        for step, (alone, below) in ours.items():
            if step not in theirs:
                continue
            if step in going and alone:
                yield from self.removal((*path, step), theirs[step], _after(mine, theirs, going))
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
        mine = self.canonical(path, declared)
        default = self.policy(path).default
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
    return tuple(step for step in path if isinstance(step, str))


def step_to(one: Value, key: ListKey) -> Item:
    """The step to *one* of a list that merges by *key*."""
    if not key:
        return item([one])
    fields = (key,) if isinstance(key, str) else key
    return item(one.get(field) for field in fields) if isinstance(one, Mapping) else Item("")


def _order(path: Path, wanted: Sequence[Item], there: Sequence[Item]) -> Iterator[FieldChange]:
    """What is on both sides takes the declared order; where others' items stand among them is nobody's concern."""
    known, named = frozenset(there), frozenset(wanted)
    before = [step.key for step in dict.fromkeys(there) if step in named]
    after = [step.key for step in wanted if step in known]
    if before != after:
        yield FieldChange(path, before, after)


def _opened(value: object, key: ListKey) -> Mapping[owned.Step, Value]:
    """What stands below *value*, by step."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str) and isinstance(key, tuple):
        return {step_to(one, key): one for one in reversed(value)}
    return {}


def _after(declared: Mapping[owned.Step, Value], live: Mapping[owned.Step, Value], going: set[owned.Step]) -> Fields:
    """The mapping once what goes is gone."""
    kept = {str(name): value for name, value in live.items() if name not in going}
    return {**kept, **{str(name): value for name, value in declared.items()}}


def _shortest(change: FieldChange) -> tuple[int, str]:
    return len(change.path), repr(change.path)


def _plain(live: object) -> Value:
    return None if live is _ABSENT else live  # type: ignore[return-value]
