"""Changes → plan: the order in which they are done, the digest that a reviewer approves, the guard that stops a bad one. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from reconciler.errors import ReconcilerError, UnsafePlanError
from reconciler.fields import fieldpath
from reconciler.model.address import SHARED, ResourceId
from reconciler.model.change import Change, FieldChange
from reconciler.model.environment import Guard
from reconciler.model.observation import Observed
from reconciler.model.origin import Revision
from reconciler.model.plan import ComponentsSummary, Plan
from reconciler.model.value import Fields, Ref, Value, spell

SHARE_MEANS_SOMETHING = 30  # of fewer known things any one deletion would be a large share
_UNDOING = frozenset({"delete", "forget"})
_WITH_IT = frozenset(  # goes with the StatefulSet of its service
    {"PersistentVolume", "PersistentVolumeClaim", "ConfigMap", "Service", "PodDisruptionBudget", "ServiceAccount", "Role", "RoleBinding"}
)
_LAST = {"StatefulSet": 0, "Service": 1, "PersistentVolumeClaim": 2, "PersistentVolume": 3}  # what is taken apart first


def make(revision: Revision, changes: Iterable[Change], observed: Observed, components: tuple[ComponentsSummary, ...] = ()) -> Plan:
    """The plan of *changes*: dependencies first, removals last and in reverse."""
    ordered = order(changes)
    known = sum(1 for found in observed.live.values() for live in found if live.marked and not live.retained and live.stack != SHARED)
    return Plan(revision, ordered, digest(revision, ordered), components, fingerprint=fingerprint(ordered, observed), known=known)


def order(changes: Iterable[Change]) -> tuple[Change, ...]:
    """A permutation of *changes* that respects `needs`: makers first, then removals, users before what they use."""
    listed = sorted(changes, key=lambda change: (change.stack != SHARED, change.stack, change.id))
    making = [change for change in listed if change.action not in _UNDOING]
    undoing = [change for change in listed if change.action in _UNDOING]
    undoing.sort(key=lambda change: (change.stack == SHARED, change.stack, _rank(change.id), change.id))
    return (*_by_needs(making), *undoing)


def _by_needs(changes: list[Change]) -> list[Change]:
    """Depth first over *changes*, so that what belongs together stays together."""
    by_id = {change.id: change for change in changes}
    graph = {change.id: [need for need in sorted(change.needs) if need in by_id] for change in changes}
    try:
        position = {id: index for index, id in enumerate(TopologicalSorter(graph).static_order())}
    except CycleError as error:
        circle = " -> ".join(str(id) for id in error.args[1])
        raise ReconcilerError(f"these need each other: {circle}", hint="this is a fault of the service type; report it") from error
    depth: dict[ResourceId, int] = {}
    for id in sorted(by_id, key=position.__getitem__):
        depth[id] = max((depth[need] + 1 for need in graph[id]), default=0)
    return sorted(changes, key=lambda change: (change.stack != SHARED, change.stack, depth[change.id], change.id))


def _rank(id: ResourceId) -> int:
    if id.kind != "kubernetes":
        return {"record": 4, "address": 5, "interface": 6, "volume": 7, "zone": 8}.get(id.kind, 9)
    return _LAST.get(id.name.split("/")[0], 2)


def digest(revision: Revision, changes: Iterable[Change]) -> str:
    """SHA-256 over tree, environment and every change that is not a keep, with its values; the same for the same world and tree."""
    lines = [
        [str(change.id), change.action, change.owner, change.stack, change.live_id, [_spelt(field) for field in change.fields]]
        for change in changes
        if change.action != "keep"
    ]
    return _sha256([revision.tree, revision.environment, sorted(lines, key=json.dumps)])


def fingerprint(changes: Iterable[Change], observed: Observed) -> str:
    """SHA-256 over the live fields of everything that the plan touches, but for those that others own: they may move at any time."""
    touched = sorted((change for change in changes if change.acts), key=lambda change: change.id)
    return _sha256([[str(change.id), [_ours(change, live.fields) for live in observed.live.get(change.id, ())]] for change in touched])


def _ours(change: Change, fields: Fields) -> object:
    for left in change.left:
        fields = fieldpath.put(fields, left.path, fieldpath.ABSENT)
    return plain(fields)


def shown(value: Value) -> str:
    """A value within a sentence."""
    return "absent" if value is None else value if isinstance(value, str) else json.dumps(plain(value))


def _spelt(field: FieldChange) -> list[object]:
    return [spell(field.path), plain(field.before), plain(field.after)]


def plain(value: Value) -> object:
    """*value* as JSON, a Ref as what it refers to."""
    match value:
        case Mapping():
            return {name: plain(item) for name, item in sorted(value.items())}
        case Ref(id, attribute):
            return {"ref": str(id), "attribute": attribute}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def guard(plan: Plan, limits: Guard, allowed: int | None = None) -> None:
    """Raise UnsafePlanError where *plan* deletes more than *limits* (or the number a person *allowed*) let pass, or everything.

    Everything is all that services have: what they share stays as long as any other is declared, and would hide it.
    """
    deletes = [change for change in plan.changes if change.action in {"delete", "replace"}]
    gone = sum(change.action in {"delete", "replace", "forget"} and change.stack != SHARED for change in plan.changes)
    if allowed is not None:
        if len(deletes) > allowed:
            raise UnsafePlanError(f"the plan deletes {len(deletes)}, {allowed} allowed", hint=f"--allow-deletes {len(deletes)}")
        return
    hint = f"read the plan; if it is meant so: --allow-deletes {len(deletes)}"
    if deletes and gone >= plan.known:
        raise UnsafePlanError(f"the plan removes everything there is ({gone} of {plan.known})", hint=hint)
    services = _counted(deletes)
    if services > limits.max_deletes:
        raise UnsafePlanError(f"the plan deletes {services}, over guard.maxDeletes {limits.max_deletes}", hint=hint)
    share = 100 * len(deletes) / plan.known if plan.known else 0
    if plan.known >= SHARE_MEANS_SOMETHING and share > limits.max_delete_percent:
        text = f"{share:.0f}% of {plan.known} known things, over guard.maxDeletePercent {limits.max_delete_percent}"
        raise UnsafePlanError(f"the plan deletes {len(deletes)}: {text}", hint=hint)


def _counted(deletes: list[Change]) -> int:
    """How many deletions a person would count: claims, their PVs and a service's own small objects go with its StatefulSet."""
    return sum(1 for change in deletes if change.id.kind != "kubernetes" or change.id.name.split("/")[0] not in _WITH_IT)
