"""What becomes of what nothing declares: live things with our marks, and what only the engine's state still has."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler import removal
from reconciler.diff.context import Context
from reconciler.model.address import ResourceId
from reconciler.model.change import Action, Change, FieldChange
from reconciler.model.desired import Desired
from reconciler.model.observation import Observation, Observed
from reconciler.model.resource import Owner


def gone(desired: Desired, observed: Observed, context: Context) -> Iterator[Change]:
    """What is live and ours, and declared by nothing. Held as long as anything could not be read: it may be declared by a move."""
    for id, found in sorted(observed.live.items()):
        for live in found:
            if id in desired.resources or not live.marked or _forgotten(id, live, context) or not context.selects(live.stack):
                continue
            held = next(iter(observed.unread.values()), "")
            yield _hold(id, live, held) if held else _removed(id, live, context)


def left(desired: Desired, observed: Observed, context: Context) -> Iterator[Change]:
    """What only the engine's state still has, such as a zone of another name: it would take it away whenever the stack is run next."""
    for stack, ids in sorted((context.engine or {}).items()):
        for id in sorted(ids - desired.resources.keys() - observed.live.keys()):
            if not context.selects(stack):
                continue
            why = observed.why_unread(id) or next(iter(observed.unread.values()), "")
            if why:
                yield Change(id, "hold", "engine", f"no longer declared, but something could not be read: {why}; nothing is removed", stack)
            else:
                action: Action = "forget" if removal.of(id) == "retain" else "delete"
                yield Change(id, action, "engine", "no longer declared; the engine still holds it", stack)


def _forgotten(id: ResourceId, live: Observation, context: Context) -> bool:
    """Kept on purpose and known to nobody any more. A run that died between the two leaves what is kept, and still to be forgotten."""
    return bool(live.retained) and id not in context.recorded(live.stack)


def _hold(id: ResourceId, live: Observation, why: str) -> Change:
    reason = f"no longer declared, but something could not be read: {why}; nothing is removed meanwhile"
    return Change(id, "hold", "engine", reason, live.stack, live_id=live.live_id)


def _removed(id: ResourceId, live: Observation, context: Context) -> Change:
    since = context.gone_since.get(id, "")
    reason = f"no longer declared since {since}" if since else "no longer declared"
    known = context.engine is None or id in context.recorded(live.stack)
    owner: Owner = "members" if id.kind == "record" and not known else "engine"
    fields = tuple(FieldChange((name,), value, None) for name, value in live.fields.items())
    if removal.of(id) == "retain":
        what = "data is kept" if id.kind == "volume" else ""
        return Change(id, "forget", owner, f"{reason}; it is kept", live.stack, fields, impact=what, live_id=live.live_id)
    return Change(id, "delete", owner, reason, live.stack, fields, live_id=live.live_id)
