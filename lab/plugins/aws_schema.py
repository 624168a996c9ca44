"""Part of the stand-in `aws` plugin: a type's properties as the real provider's schema declares them, and the checks and diffs that follow.

The rules are those of Terraform's SDK under the real plugin: what is optional and computed keeps its value when the program is silent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lab.plugins.properties import UNKNOWN, Values
from lab.plugins.provider import Difference, Failure, Sort

_SORTS = {str: "string", int: "number", bool: "boolean", list: "list", dict: "object"}


@dataclass(frozen=True, slots=True)
class Field:
    """One property. *computed*: AWS gives a value when the program gives none; *output*: never the program's."""

    type: type = str
    required: bool = False
    computed: bool = False
    replaces: bool = False
    output: bool = False
    is_set: bool = False
    default: Any = None
    derived: bool = False  # says what another property says; an import fills in the other one
    absent: bool = False  # the stand-in does not have it, and says so
    normal: Callable[[Any], Any] | None = None  # the form in which two values are compared


Schema = Mapping[str, Field]
REGION: Final = Field(computed=True, replaces=True)
TAGS: Final = Field(dict)
TAGS_ALL: Final = Field(dict, computed=True)
OUTPUT: Final = Field(output=True)


def defaults(schema: Schema) -> Values:
    """What the provider assumes where the program is silent."""
    return {name: field.default for name, field in schema.items() if field.default is not None}


def failures(schema: Schema, news: Values) -> Iterator[Failure]:
    """Unknown, missing and mistyped inputs."""
    for name, value in news.items():
        field = schema.get(name)
        if field is None or field.output:
            yield Failure(name, f"Invalid or unknown key: {name!r} is no input of this type")
        elif field.absent:
            yield Failure(name, f"{name}: the lab's stand-in does not have it; the real provider does")
        elif value is not UNKNOWN and not _fits(field.type, value):
            yield Failure(name, f"expected type '{_SORTS[field.type]}', got '{_SORTS.get(type(value), type(value).__name__)}' for {name}")
    for name, field in schema.items():
        if field.required and news.get(name) in (None, ""):
            yield Failure(name, f"Missing required argument. The argument {name!r} is required, but no definition was found.")


def exactly_one(news: Values, *names: str) -> Iterator[Failure]:
    """Terraform's ExactlyOneOf."""
    given = [name for name in names if news.get(name) is not None]
    if len(given) != 1:
        what = "one of" if not given else "only one of"
        found = "must be specified" if not given else f"can be specified, but `{','.join(given)}` were specified."
        yield Failure(names[0], f'"{names[0]}": {what} `{",".join(names)}` {found}')


def conflicts(news: Values, name: str, others: tuple[str, ...]) -> Iterator[Failure]:
    """Terraform's ConflictsWith."""
    if news.get(name) is None:
        return
    for other in others:
        if news.get(other) is not None:
            yield Failure(name, f'Conflicting configuration arguments: "{name}": conflicts with {other}')


def between(news: Values, name: str, low: int, high: int) -> Iterator[Failure]:
    """Terraform's IntBetween."""
    value = news.get(name)
    if isinstance(value, int) and not low <= value <= high:
        yield Failure(name, f"expected {name} to be in the range ({low} - {high}), got {value}")


def one_of(news: Values, name: str, values: tuple[str, ...]) -> Iterator[Failure]:
    """Terraform's enum validation."""
    value = news.get(name)
    if isinstance(value, str) and value not in values:
        yield Failure(name, f"expected {name} to be one of {list(values)}, got {value}")


def arn(news: Values, name: str) -> Iterator[Failure]:
    """Terraform's ValidARN."""
    value = news.get(name)
    if isinstance(value, str) and not (value.startswith("arn:") and value.count(":") >= 5):
        yield Failure(name, f'"{name}" ({value}) is an invalid ARN: arn: invalid prefix')


def diff(schema: Schema, olds: Values, news: Values) -> Difference:
    """What an update would change of the outputs *olds*, property by property, tag by tag."""
    changes: dict[tuple[str | int, ...], Sort] = {}
    for name, field in schema.items():
        if field.output:
            continue
        if field.type is dict and (name in {"tags", "tagsAll"}):
            if news.get(name) is not None or not field.computed:
                changes |= _map_changes(name, olds.get(name) or {}, news.get(name) if news.get(name) is not None else {})
        elif (sort := _change(field, olds.get(name), news.get(name))) is not None:
            changes[(name,)] = sort
    return Difference(changes, frozenset(path for path in changes if schema[str(path[0])].replaces))


def unknowns(schema: Schema, news: Values) -> Values:
    """A preview's outputs: what the program gives, and unknown whatever only AWS can say."""
    silent = {name: UNKNOWN for name, field in schema.items() if (field.output or field.computed) and name not in news}
    return {**silent, **news}


def declared(schema: Schema, outputs: Values) -> Values:
    """The inputs that would declare a thing with *outputs*: what an import fills in."""
    named = {name: outputs.get(name) for name, field in schema.items() if not (field.output or field.derived)}
    return {name: value for name, value in named.items() if value or (value is not None and schema[name].default is not None)}


def projected(schema: Schema, outputs: Values, inputs: Values) -> Values:
    """The last *inputs* with the values that are live now: what a refresh remembers as declared."""
    live = {name: outputs[name] for name in inputs if name in schema and outputs.get(name) is not None}
    tags = {"tags": outputs["tags"]} if "tags" in schema and outputs.get("tags") else {}
    return {**live, **tags}


def same(field: Field, old: Any, new: Any) -> bool:
    """Whether two values mean the same: a set has no order, and nothing is as good as zero."""
    if field.normal is not None:
        old, new = field.normal(old), field.normal(new)
    if field.is_set and isinstance(old, list) and isinstance(new, list):
        return sorted(map(repr, old)) == sorted(map(repr, new))
    return bool(old == new) or (not old and not new and old is not UNKNOWN and new is not UNKNOWN)


def _change(field: Field, old: Any, new: Any) -> Sort | None:
    if new is None:
        if field.computed:
            return None
        new = field.default
    if same(field, old, new):
        return None
    if new is None or (not new and new is not UNKNOWN and not isinstance(new, bool | int)):
        return "delete"
    return "add" if old is None else "update"


def _map_changes(name: str, old: Any, new: Any) -> dict[tuple[str | int, ...], Sort]:
    if new is UNKNOWN:
        return {(name,): "update"}
    changes: dict[tuple[str | int, ...], Sort] = {(name, key): "delete" for key in old if key not in new}
    for key, value in new.items():
        if key not in old:
            changes[name, key] = "add"
        elif old[key] != value:
            changes[name, key] = "update"
    return changes


def _fits(wanted: type, value: Any) -> bool:
    return isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
