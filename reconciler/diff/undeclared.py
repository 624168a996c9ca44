"""What becomes of what nothing declares: live things with our marks, and what only the engine's state still has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reconciler.diff import former, impact, removal
from reconciler.diff.context import Context, Scene
from reconciler.diff.removal import KEPT
from reconciler.model.address import ResourceId
from reconciler.model.change import Action, Change, FieldChange
from reconciler.model.observation import Observation
from reconciler.model.resource import Owner

GIVEN_UP = "deletionPolicy: Delete"


def gone(scene: Scene) -> Iterator[Change]:
    """What is live and ours, and declared by nothing. Held as long as anything is not known: it may be declared by a move."""
    context = scene.context
    for id, found in sorted(scene.observed.live.items()):
        if id in scene.desired.resources:
            continue
        for live in found:
            if live.marked and context.selects(live.stack) and not _forgotten(id, live, context):
                yield _removed(id, live, scene)


def left(scene: Scene) -> Iterator[Change]:
    """What only the engine's state still has, such as a zone of another name: it would take it away whenever the stack is run next."""
    known = (scene.desired.resources, scene.observed.live, scene.former)  # their difference would walk all of them for each stack
    for stack, ids in sorted((scene.context.engine or {}).items()):
        for id in sorted(id for id in ids if not any(id in one for one in known)):
            if scene.context.selects(stack):
                yield _let_go(id, stack, scene)


def _forgotten(id: ResourceId, live: Observation, context: Context) -> bool:
    """Kept on purpose and known to nobody any more. A run that died between the two leaves what is kept, and still to be forgotten.

    A volume says so itself; a zone or a namespace is kept in any case, and serves the next that declares it.
    """
    kept = bool(live.retained) or (id.kind != "volume" and removal.of(id) == "retain")
    return kept and id not in context.recorded(live.stack)


def _removed(id: ResourceId, live: Observation, scene: Scene) -> Change:
    """One live thing that nothing declares: held, refused, or taken away."""
    held = scene.desired.held.get(live.stack)
    change = Change(id, "hold", "engine", held or "", live.stack, live_id=live.live_id)
    if held is not None:
        return change
    if scene.unpruned:
        return replace(change, reason=f"no longer declared, but {scene.unpruned}; nothing is removed meanwhile")
    if unsaid := former.unsaid(live, scene):
        return replace(change, action="refuse", reason=unsaid)
    since = scene.context.gone_since.get(id, "")
    reason = f"no longer declared since {since}" if since else "no longer declared"
    return _taken(replace(change, reason=reason), live, scene)


def _taken(change: Change, live: Observation, scene: Scene) -> Change:
    id = change.id
    known = id in scene.context.recorded(live.stack)
    owner: Owner = "members" if id.kind == "record" and not known and not _leads_to_interface(live, scene) else "engine"
    fields = tuple(FieldChange((name,), value, None) for name, value in live.fields.items())
    change = replace(change, owner=owner, fields=fields, impact=impact.of_removal(id, live))
    if removal.of(id) == "delete":
        return replace(change, action="delete")
    given_up = _is_given_up(live, scene)
    if given_up and scene.context.delete_data:
        return replace(
            change, action="delete", reason=f"{change.reason}; its spec said {GIVEN_UP}", impact="irreversible: its data is deleted"
        )
    kept = f"{change.impact}; --allow-delete-data would delete it" if given_up else change.impact
    return replace(change, action="forget", reason=f"{change.reason}{KEPT}", impact=kept)


def _is_given_up(live: Observation, scene: Scene) -> bool:
    """Whether the data of *live* may go: the spec said so when it was last applied, and says nothing else where its service lives on."""
    service = scene.service(live.stack)
    return live.given_up and not live.retained and (service is None or service.deletion_policy == "Delete")


def _leads_to_interface(record: Observation, scene: Scene) -> bool:
    """Whether a record was declared for a member's interface, and does not follow a Pod."""
    member = record.id.name.partition(".")[0]
    return bool(scene.found(ResourceId("interface", record.id.environment, record.stack, member)))


def _let_go(id: ResourceId, stack: str, scene: Scene) -> Change:
    held = scene.desired.held.get(stack)
    if held is not None:
        return Change(id, "hold", "engine", held, stack)
    why = scene.observed.why_unread(id)
    if why := f"something could not be read: {why}" if why else scene.unpruned:
        return Change(id, "hold", "engine", f"no longer declared, but {why}; nothing is removed", stack)
    action: Action = "forget" if removal.of(id) == "retain" else "delete"
    return Change(id, action, "engine", "no longer declared; the engine still holds it", stack)
