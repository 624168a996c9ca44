"""What a plan says beside its changes: drift above them, services on hold among them, ignored fields below. One wording for all forms."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.change import Change, Left
from reconciler.model.plan import Plan
from reconciler.model.value import spell

DRIFTED = "objects have changed outside of the specs (each is planned below)"
_NAMED = 3  # ignored fields of one reason; the rest are counted


def drift(plan: Plan) -> Iterator[str]:
    """`ADDRESS   ttl is 300 live, 5 declared (since the apply of 1c9e0d2)`, a line a field."""
    yield from (f"{one.address}   {one.text}" for one in plan.drift)


def shown(plan: Plan) -> Iterator[Change]:
    """The changes that have a headline of their own: neither keeps, nor those of a service that is on hold as a whole."""
    return (one for one in plan.changes if one.action != "keep" and not (one.action == "hold" and one.stack in plan.held))


def held(plan: Plan) -> Iterator[str]:
    """`# service/lab/kv is on hold (services/kv.yaml:7:3: unknown field spec.size; its 12 resources are left as they are)`."""
    for service, why in sorted(plan.held.items()):
        count = sum(1 for one in plan.changes if one.action == "hold" and one.stack == service)
        left = f"its {count} resources are left as they are" if count > 1 else "what there is of it is left as it is"
        yield f"# service/{plan.revision.environment}/{service} is on hold ({why}; {left})"


def ignored(plan: Plan) -> Iterator[str]:
    """`Ignored: 2 fields, 1 differs (the autoscaler's): kubernetes/lab/kv/StatefulSet/default/kv spec.replicas`, a line a reason."""
    by_reason: dict[str, list[tuple[Change, Left]]] = {}
    for change in plan.changes:
        for left in change.left:
            by_reason.setdefault(left.reason, []).append((change, left))
    for reason, found in sorted(by_reason.items()):
        names = [f"{change.id} {spell(left.path)}" for change, left in found]
        more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
        differing = sum(left.differs for _, left in found)
        differ = f", {differing} {'differs' if differing == 1 else 'differ'}" if differing else ""
        count = f"{len(names)} field{'s' if len(names) > 1 else ''}"
        yield f"Ignored: {count}{differ} ({reason}): {', '.join([*names[:_NAMED], *more])}"
