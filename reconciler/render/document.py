"""A plan as JSON: Terraform's plan representation, so that policy and comment tools work unchanged, and what ours adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler import plan as planning
from reconciler.kinds import Kind
from reconciler.model.address import parse
from reconciler.model.change import Action, Change, FieldChange, Left
from reconciler.model.plan import Conflict, Drift, Plan
from reconciler.model.value import Path, Ref, Value, spell
from reconciler.render import shapes

FORMAT_VERSION = "1.2"
_ACTIONS: dict[Action, list[shapes.Word]] = {
    "keep": ["no-op"],
    "create": ["create"],
    "adopt": ["no-op"],
    "update": ["update"],
    "move": ["no-op"],
    "replace": ["delete", "create"],
    "delete": ["delete"],
    "forget": ["forget"],
}


def render(plan: Plan, kinds: Mapping[str, Kind]) -> shapes.Plan:
    """The whole plan as a JSON document."""
    shown = [change for change in plan.changes if change.action not in {"hold", "refuse"}]
    summary = plan.summary
    return {
        "format_version": FORMAT_VERSION,
        "environment": plan.revision.environment,
        "revision": plan.revision.commit,
        "tree": plan.revision.tree,
        "digest": plan.digest,
        "summary": {
            "import": summary["import"],
            "add": summary["add"],
            "change": summary["change"],
            "destroy": summary["destroy"],
            "forget": summary["forget"],
            "hold": summary["hold"],
            "refuse": summary["refuse"],
            "keep": summary["keep"],
        },
        "resource_changes": [_resource(change, kinds) for change in shown],
        "resource_drift": [_drift(drift, kinds) for drift in plan.drift],
        "warnings": list(plan.warnings),
        "conflicts": [_conflict(conflict) for conflict in plan.conflicts],
        "ignored": [_left(change, left) for change in plan.changes for left in change.left],
        "held": [_still(change) for change in plan.changes if change.action == "hold"],
        "held_services": [{"service": name, "reason": why} for name, why in sorted(plan.held.items())],
        "refused": [_still(change) for change in plan.changes if change.action == "refuse"],
        "components": [
            {
                "configuration": summary.configuration,
                "total": summary.total,
                "pending": summary.pending,
                "failed": summary.failed,
                "configured": summary.configured,
                "layers": list(summary.layers),
            }
            for summary in plan.components
        ],
        "errored": False,
    }


def _resource(change: Change, kinds: Mapping[str, Kind]) -> shapes.ResourceChange:
    actions: list[shapes.Word] = ["update"] if change.action in {"adopt", "move"} and change.fields else _ACTIONS[change.action]
    body: shapes.Body = {
        "actions": actions,
        "before": None if change.action == "create" else nested(change.fields, "before"),
        "after": None if change.action in {"delete", "forget"} else nested(change.fields, "after"),
        "after_unknown": _marks(change.fields, lambda field: unknown(field.after)),
        "before_sensitive": _marks(change.fields, lambda field: field.secret),
        "after_sensitive": _marks(change.fields, lambda field: field.secret),
    }
    if change.action == "replace":
        body["replace_paths"] = [list(_steps(field.path)) for field in change.fields]
    if change.action == "adopt":
        body["importing"] = {"id": change.live_id}
    told: shapes.ResourceChange = {
        "address": str(change.id),
        "mode": "managed",
        "type": kinds[change.id.kind].terraform_type(change.id.name),
        "name": change.id.name,
        "action_reason": change.reason,
        "owner": change.owner,
        "impact": change.impact,
        "change": body,
    }
    if change.was:
        told["previous_address"] = change.was
    return told


def _drift(drift: Drift, kinds: Mapping[str, Kind]) -> shapes.ResourceDrift:
    """As Terraform tells drift: before is what was recorded, after what is live."""
    id, field = parse(drift.address), drift.field
    body: shapes.Body = {"actions": ["update"] if field else ["delete"], "before": None, "after": None}
    if field:
        body["before"], body["after"] = nested([field], "after"), nested([field], "before")
        body["before_sensitive"] = body["after_sensitive"] = _marks([field], lambda one: one.secret)
    return {
        "address": drift.address,
        "text": drift.text,
        "mode": "managed",
        "type": kinds[id.kind].terraform_type(id.name),
        "name": id.name,
        "since": drift.commit,
        "change": body,
    }


def _conflict(one: Conflict) -> shapes.Conflict:
    return {"address": one.address, "path": one.path, "owner": one.owner, "times": one.times, "since": one.since}


def _left(change: Change, left: Left) -> shapes.Ignored:
    """A field that others own. What is secret is neither shown as live nor as declared."""
    told: shapes.Ignored = {"address": str(change.id), "path": spell(left.path), "reason": left.reason, "differs": left.differs}
    if not left.secret:
        told["live"], told["declared"] = planning.plain(left.live), planning.plain(left.declared)
    return told


def _still(change: Change) -> shapes.Still:
    return {"address": str(change.id), "reason": change.reason}


def nested(fields: Iterable[FieldChange], side: str) -> dict[str, Any]:
    """The changed fields of one side as a tree; secrets and what is unknown are left out."""
    tree: dict[str, Any] = {}
    for field in fields:
        value: Value = getattr(field, side)
        if not field.secret and not unknown(value):
            _put(tree, _steps(field.path), planning.plain(value))
    return tree


def _marks(fields: Iterable[FieldChange], holds: Any) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for field in fields:
        if holds(field):
            _put(tree, _steps(field.path), value=True)
    return tree


def _put(tree: dict[str, Any], steps: tuple[str, ...], value: object) -> None:
    for step in steps[:-1]:
        tree = tree.setdefault(step, {})
    tree[steps[-1]] = value


def _steps(path: Path) -> tuple[str, ...]:
    return tuple(step if isinstance(step, str) else spell((step,)) for step in path)


def unknown(value: Value) -> bool:
    """Whether anything in *value* is known only once applied."""
    match value:
        case Ref():
            return True
        case Mapping():
            return any(unknown(item) for item in value.values())
        case list() | tuple():
            return any(unknown(item) for item in value)
        case _:
            return False
