"""What documents say of one another: names given twice, names that nobody declares, circles, components in two places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from reconciler import circle
from reconciler.documents import KINDS, Draft
from reconciler.explain import nearest
from reconciler.model.configuration import Configuration
from reconciler.model.hostlist import LIMIT

if TYPE_CHECKING:
    from reconciler.model.origin import Fault
    from reconciler.place import Step


@dataclass(frozen=True)
class Commons:
    """All drafts of an environment by kind, and the texts of files in which more may be declared than could be read."""

    drafts: Mapping[str, Sequence[Draft]]
    lost: Sequence[bytes] = field(default_factory=list)

    @cached_property
    def names(self) -> Mapping[str, frozenset[str]]:
        return {kind: frozenset(draft.name for draft in self.of(kind)) for kind in KINDS}

    def of(self, kind: str) -> Sequence[Draft]:
        return self.drafts.get(kind, ())

    def sound(self, kind: str, *fields: str) -> Iterator[Draft]:
        """Those of *kind* of which something could be made, with *fields* as they are written."""
        return (draft for draft in self.of(kind) if draft.noun and not draft.faulty.intersection(fields))

    def may_be_lost(self, word: str) -> bool:
        return any(word.encode() in text for text in self.lost)


def faults(commons: Commons) -> Iterator[Fault]:
    """Every fault between documents."""
    for kind in ("Service", "Configuration", "Source"):
        yield from _doubles(commons.of(kind))
    for draft in commons.sound("Service", "dependsOn"):
        steps = [("spec", "dependsOn", index) for index in range(len(draft.noun.depends_on))]
        yield from _dangling(commons, "Service", draft, zip(steps, draft.noun.depends_on, strict=True))
    for draft in commons.sound("Components", "desiredConfiguration"):
        yield from _dangling(commons, "Configuration", draft, [(("spec", "desiredConfiguration"), draft.noun.desired_configuration)])
    for draft in commons.sound("Configuration"):
        yield from _dangling(commons, "Source", draft, _sources(draft.noun))
    yield from _circles(commons)
    yield from _shared_components(commons)


def _doubles(drafts: Iterable[Draft]) -> Iterator[Fault]:
    first: dict[str, Draft] = {}
    for draft in drafts:
        other = first.setdefault(draft.name.casefold(), draft)
        if other is not draft:
            beside = "" if other.name == draft.name else f", but for case {other.name}"
            there = other.place.at(("metadata", "name"))
            yield draft.fault(f"{draft.kind} {draft.name} is declared twice{beside}, first in {there}", "", "metadata", "name")


def _sources(configuration: Configuration) -> Iterator[tuple[tuple[Step, ...], str | None]]:
    for index, layer in enumerate(configuration.layers):
        yield ("spec", "layers", index, "source"), layer.source
    if configuration.additional_inventory:
        yield ("spec", "additionalInventory", "source"), configuration.additional_inventory.source


def _dangling(commons: Commons, kind: str, draft: Draft, names: Iterable[tuple[tuple[Step, ...], str | None]]) -> Iterator[Fault]:
    declared = commons.names[kind]
    for steps, name in names:
        if name and name not in declared and not commons.may_be_lost(name):
            yield draft.fault(f"there is no {kind} {name}", nearest(name, declared), *steps)


def _circles(commons: Commons) -> Iterator[Fault]:
    """One fault a circle, at the service of it that comes first."""
    needs = {draft.name: draft.noun.depends_on for draft in commons.sound("Service", "dependsOn")}
    drafts = {draft.name: draft for draft in commons.of("Service")}
    for path in circle.circles(needs):
        draft = drafts[path[0]]
        index = needs[draft.name].index(path[1])
        yield draft.fault(f"dependsOn goes in a circle: {' → '.join(path)}", "take one of them out", "spec", "dependsOn", index)


def _shared_components(commons: Commons) -> Iterator[Fault]:
    owners: dict[str, tuple[Draft, int]] = {}
    total = 0
    for draft in commons.sound("Components", "ids"):
        for index, ids in enumerate(draft.noun.ids.ranges):
            total += len(ids)
            if total > LIMIT:
                yield draft.fault(f"the environment has more than {LIMIT:,} components", "split it", "spec", "ids", index)
                return
            clashes = [id for id in ids if owners.setdefault(id.casefold(), (draft, index)) != (draft, index)]
            if clashes:
                other, there = owners[clashes[0].casefold()]
                more = f" and {len(clashes) - 1} more" if len(clashes) > 1 else ""
                where = other.place.at(("spec", "ids", there))
                yield draft.fault(f"component {clashes[0]}{more} is declared already in {where}", "", "spec", "ids", index)
