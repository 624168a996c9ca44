"""What documents say of one another: names given twice, names that nobody declares, circles, components in two places."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reconciler.model.hostlist import LIMIT, HostRange
from reconciler.specs import circle
from reconciler.specs.documents import KINDS
from reconciler.specs.draft import Draft
from reconciler.specs.explain import nearest

if TYPE_CHECKING:
    from reconciler.model.origin import Fault, Origin
    from reconciler.specs.place import Step


_REFERENCES: Mapping[str, tuple[tuple[tuple[str, ...], ...], str]] = {  # kind → where it names others ("*": each item), and their kind
    "Service": ((("dependsOn", "*"),), "Service"),
    "Components": ((("desiredConfiguration",),), "Configuration"),
    "Configuration": ((("layers", "*", "source"), ("additionalInventory", "source")), "Source"),
}


@dataclass(frozen=True)
class Commons:
    """All drafts of an environment by kind, and the texts of files in which more may be declared than could be read."""

    drafts: Mapping[str, Sequence[Draft]]
    lost: list[bytes] = field(default_factory=list)
    nameless: list[Origin] = field(default_factory=list)  # where documents begin of which no draft could be made

    @cached_property
    def names(self) -> Mapping[str, frozenset[str]]:
        return {kind: frozenset(draft.name for draft in self.of(kind)) for kind in KINDS}

    def of(self, kind: str) -> Sequence[Draft]:
        return self.drafts.get(kind, ())

    def sound(self, kind: str, *fields: str) -> Iterator[Draft]:
        """Those of *kind* of which something could be made, with *fields* as they are written."""
        return (draft for draft in self.of(kind) if draft.whole and not draft.faulty.intersection(fields))

    def may_be_lost(self, word: str) -> bool:
        return any(word.encode() in text for text in self.lost)


def faults(commons: Commons) -> Iterator[Fault]:
    """Every fault between documents. Looks at what is written, so that a fault elsewhere in a document hides none of these."""
    for kind in ("Service", "Configuration", "Source"):
        yield from _doubles(commons.of(kind))
    for kind, (paths, target) in _REFERENCES.items():
        for draft in commons.of(kind):
            if kind == "Service" and not draft.depends:
                continue
            names = [found for path in paths for found in _written(draft.spec, path, ("spec",))]
            yield from _dangling(commons, target, draft, names)
    yield from _circles(commons)
    yield from _shared_components(commons)


def _written(value: Any, path: Sequence[str], steps: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], str]]:
    """The strings at *path* below *value*, each with the steps that lead to it."""
    if not path:
        yield from [(steps, value)] if isinstance(value, str) else []
    elif path[0] == "*":
        for index, one in enumerate(value if isinstance(value, list) else ()):
            yield from _written(one, path[1:], (*steps, index))
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _written(value[path[0]], path[1:], (*steps, path[0]))


def _doubles(drafts: Iterable[Draft]) -> Iterator[Fault]:
    first: dict[str, Draft] = {}
    for draft in drafts:
        other = first.setdefault(draft.name.casefold(), draft)
        if other is not draft:
            beside = "" if other.name == draft.name else f", but for case {other.name}"
            there = other.place.at(("metadata", "name"))
            yield draft.clash(other, f"{draft.kind} {draft.name} is declared twice{beside}, first in {there}", "", "metadata", "name")


def _dangling(commons: Commons, kind: str, draft: Draft, names: Iterable[tuple[tuple[Step, ...], str]]) -> Iterator[Fault]:
    declared = commons.names[kind]
    for steps, name in names:
        if name and name not in declared and not commons.may_be_lost(name):
            yield draft.fault(f"there is no {kind} {name}", nearest(name, declared), *steps)


def _circles(commons: Commons) -> Iterator[Fault]:
    """One fault a circle, at the service of it that comes first."""
    drafts = {draft.name: draft for draft in commons.of("Service")}
    for path in circle.circles({name: draft.depends for name, draft in drafts.items() if draft.depends}):
        written = _written(drafts[path[0]].spec, ("dependsOn", "*"), ("spec",))
        steps = next(steps for steps, other in written if other == path[1])
        yield drafts[path[0]].fault(f"dependsOn goes in a circle: {' → '.join(path)}", "take one of them out", *steps)


def _shared_components(commons: Commons) -> Iterator[Fault]:
    owners: dict[str, tuple[Draft, tuple[Step, ...]]] = {}
    total = 0
    for draft in commons.of("Components"):
        for steps, text in _written(draft.spec, ("ids", "*"), ("spec",)):
            ids = _range(text)
            total += len(ids)
            if total > LIMIT:
                yield draft.fault(f"the environment has more than {LIMIT:,} components", "split it", *steps)
                return
            here = draft, steps
            clashes = [id for id in ids if owners.setdefault(id.casefold(), here) != here]
            if clashes:
                other, there = owners[clashes[0].casefold()]
                more = f" and {len(clashes) - 1} more" if len(clashes) > 1 else ""
                yield draft.clash(other, f"component {clashes[0]}{more} is declared already in {other.place.at(there)}", "", *steps)


def _range(text: str) -> Collection[str]:
    """The names that *text* stands for; none where it is no host list, which is a fault of its document's own."""
    try:
        return HostRange.parse(text)
    except ValueError:
        return ()
