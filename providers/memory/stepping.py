"""What an engine would do to a stack, given what it holds: Pulumi's own rule, which knows nothing of plans. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter

from reconciler.model.address import ResourceId
from reconciler.ports import StackRun

GOES = frozenset({"delete"})


@dataclass(frozen=True, slots=True)
class Step:
    """One step in the engine's words: create, import, update, replace, delete, same. *live* is what it happens to, "" for what is new."""

    op: str
    id: ResourceId
    live: str = ""

    def __str__(self) -> str:
        return f"{self.op} {self.id}"


def steps(run: StackRun, held: Mapping[ResourceId, str]) -> tuple[Step, ...]:
    """Everything declared after what it needs; then what is held and declared no more, users before what they use."""
    return (*_declared(run, held), *_surplus(run, held))


def _declared(run: StackRun, held: Mapping[ResourceId, str]) -> Iterator[Step]:
    declared = {resource.id: resource for resource in run.resources}
    graph = {id: sorted(need for need in resource.needs if need in declared) for id, resource in sorted(declared.items())}
    adopted = {change.id: change.live_id for change in run.changes if change.action in {"adopt", "move"}}
    replaced = {change.id for change in run.changes if change.action == "replace"}
    for id in TopologicalSorter(graph).static_order():
        if id in held:
            yield Step("replace" if id in replaced else "same", id, held[id])
        elif id in adopted:
            yield Step("import", id, adopted[id])
        else:
            yield Step("create", id)


def _surplus(run: StackRun, held: Mapping[ResourceId, str]) -> Iterator[Step]:
    declared = {resource.id for resource in run.resources}
    place = {change.id: number for number, change in enumerate(run.changes)}  # the plan's order is that of a removal
    for id in sorted(held.keys() - declared, key=lambda one: (place.get(one, len(place)), one)):
        yield Step("delete", id, held[id])
