"""Fields that a service leaves to others: what each `ignore` of its spec means among all that it declares. Pure.

[RESOURCE:]FIELD      StatefulSet/kv:spec.replicas      volume/*/data:iops      /spec/replicas
RESOURCE              Kind/name, or an address from its kind or its name on; `*` stands for anything. Without it: whatever has FIELD
FIELD                 dotted, items and keys with dots in brackets (`containers[redis].image`, `[*]` for all), or a JSON pointer
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from reconciler.fields import fieldpath
from reconciler.model.resource import Ceded, Resource
from reconciler.model.value import Path, Value, spell

if TYPE_CHECKING:
    from reconciler.model.service import Service

_SPELT = re.compile(r"(?:(?P<resource>[A-Za-z0-9*?._-]+(?:/[A-Za-z0-9*?._-]+)*):\s*)?(?P<field>\S.*)")
_STEP = re.compile(r"\.?([^.\[\]/]+)|\[([^\[\]]+)\]")
_IDENTITY: tuple[Path, ...] = (("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"), ("name",))
_MARKED = (("metadata", "labels"), ("metadata", "annotations"), ("tags",))
_MARKS = ("reconciler/", "app.kubernetes.io/managed-by", "pulumi.com/")


@dataclass(frozen=True, slots=True)
class Rule:
    """One `ignore`: *resource* is a pattern ("" for all), *steps* lead to the field."""

    resource: str
    steps: tuple[str, ...]
    reason: str

    def matches(self, resource: Resource) -> bool:
        return not self.resource or any(fnmatchcase(name, self.resource) for name in names(resource))


def rules(service: Service) -> tuple[Rule, ...]:
    """The rules of *service* that can be read; `faults` names the others."""
    return tuple(rule for one in service.ignore if (rule := parse(one.path, one.reason)))


def parse(text: str, reason: str) -> Rule | None:
    """The rule that *text* spells; None where it spells none."""
    spelt = None if text.startswith("/") else _SPELT.fullmatch(text.strip())
    resource, field = (spelt["resource"] or "", spelt["field"]) if spelt else ("", text.strip())
    steps = _pointer(field) if field.startswith("/") else _dotted(field)
    return Rule(resource, steps, reason) if steps else None


def _pointer(field: str) -> tuple[str, ...]:
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in field[1:].split("/") if step)


def _dotted(field: str) -> tuple[str, ...]:
    """The steps of a dotted path; () where it is none."""
    found = list(_STEP.finditer(field))
    whole = "".join(match[0] for match in found) == field and not field.startswith(".")
    return tuple(match[1] or match[2] for match in found) if whole else ()


def ceded(resource: Resource, given: Iterable[Rule]) -> tuple[Ceded, ...]:
    """The fields of *resource* that *given* leave to others."""
    found: dict[Path, str] = {}
    for rule in given:
        if resource.owner == "engine" and rule.matches(resource):
            for path in places(resource.fields, rule.steps):
                if rule.resource or fieldpath.reach(resource.fields, path) is not fieldpath.ABSENT:
                    found.setdefault(path, rule.reason)
    return tuple(Ceded(path, reason) for path, reason in found.items() if not identifying(path))


def names(resource: Resource) -> tuple[str, ...]:
    """What a rule may call *resource*, the shortest first."""
    id = resource.id
    kind, _, rest = id.name.partition("/")
    short = (f"{kind}/{rest.rpartition('/')[2]}",) if id.kind == "kubernetes" else ()
    return (*short, f"{id.kind}/{id.name}", id.name, str(id))


def places(fields: Value, steps: Sequence[str], path: Path = ()) -> Iterator[Path]:
    """The paths that *steps* lead to; the last may be missing, since what is declared no more may be somebody else's from then on."""
    if not steps:
        yield path
        return
    step, rest = steps[0], steps[1:]
    if isinstance(fields, Mapping):
        if step in fields:
            yield from places(fields[step], rest, (*path, step))
        elif not rest and step != "*":
            yield (*path, step)
    elif isinstance(fields, list | tuple):
        for index, item in enumerate(fields):
            key = fieldpath.step_to(item, index)
            if step in {"*", str(index), spell((key,))[1:-1]}:
                yield from places(item, rest, (*path, key))


def identifying(path: Path) -> bool:
    """Whether by the field at *path*, or one below it, a live thing is known to be ours."""
    whole = path in {("metadata",), *_MARKED}
    mark = any(path[: len(above)] == above and str(path[len(above)]).startswith(_MARKS) for above in _MARKED if len(path) > len(above))
    return whole or mark or any(path[: len(one)] == one for one in _IDENTITY)
