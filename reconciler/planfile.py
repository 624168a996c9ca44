"""A saved plan: what was approved, in a file or under its digest, and what has moved since. Pure; holds no secret."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler import errors, plan
from reconciler.model.plan import Plan
from reconciler.model.value import spell

FORMAT = 1
LASTS = 24 * 3600.0  # seconds for which a saved plan may be applied
_Fields = Mapping[str, tuple[object, object]]


@dataclass(frozen=True, slots=True)
class Saved:
    """What a plan file says."""

    environment: str
    commit: str
    tree: str
    digest: str
    fingerprint: str
    version: str
    expires: float
    changes: Mapping[str, tuple[str, _Fields]]


def dump(made: Plan, version: str, now: float) -> str:
    """*made* as the text of a plan file; *now* in seconds since the epoch."""
    document = {
        "reconcile_plan": FORMAT,
        "version": version,
        "environment": made.revision.environment,
        "revision": made.revision.commit,
        "tree": made.revision.tree,
        "digest": made.digest,
        "fingerprint": made.fingerprint,
        "expires": now + LASTS,
        "changes": {address: {"action": action, "fields": fields} for address, (action, fields) in _changes(made).items()},
    }
    return json.dumps(document, indent=1, default=str) + "\n"


def load(text: str, name: str) -> Saved:
    """The plan in *text*; UsageError where it is none, naming the file."""
    try:
        document: dict[str, Any] = json.loads(text)
        if document["reconcile_plan"] != FORMAT:
            raise errors.UsageError(f"{name} is a plan of another version", hint="plan again with this one")
        changes = {
            address: (change["action"], {field: (pair[0], pair[1]) for field, pair in change["fields"].items()})
            for address, change in document["changes"].items()
        }
        return Saved(
            document["environment"],
            document["revision"],
            document["tree"],
            document["digest"],
            document["fingerprint"],
            document["version"],
            float(document["expires"]),
            changes,
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise errors.UsageError(f"{name} is not a plan file", hint="make one with `reconcile plan --out FILE`") from error


def check(saved: Saved, made: Plan, version: str, now: float) -> None:
    """Raise StalePlan unless *made*, planned just now, is what *saved* approved; the message names what moved."""
    if saved.environment != made.revision.environment:
        raise errors.StalePlan(f"the plan is for {saved.environment}, not {made.revision.environment}", hint="plan this environment")
    if now > saved.expires:
        raise errors.StalePlan("the plan has expired", hint="plan again, and have it approved")
    if saved.version != version:
        raise errors.StalePlan(f"the plan was made by version {saved.version}, this is {version}", hint="plan again")
    if saved.digest == made.digest and saved.fingerprint == made.fingerprint:
        return
    moved = list(differences(saved, made))
    raise errors.StalePlan(
        "what was approved is no longer what would be done:\n" + "\n".join(f"  {line}" for line in moved), hint="plan again"
    )


def differences(saved: Saved, made: Plan) -> Iterator[str]:
    """What differs between the approved plan and the one that would be carried out, a line each."""
    if saved.tree != made.revision.tree:
        yield f"the specs: tree {saved.tree[:7]} was approved, this is {made.revision.tree[:7]}"
    now = _changes(made)
    for address in sorted(saved.changes.keys() | now.keys()):
        before, after = saved.changes.get(address), now.get(address)
        if before is None and after is not None:
            yield f"{address}: {after[0]} was not in the approved plan{_first(after[1])}"
        elif after is None and before is not None:
            yield f"{address}: {before[0]} was approved, nothing is to be done any more"
        elif before and after and before != after:
            yield f"{address}: {_moved(before, after)}"


def _changes(made: Plan) -> dict[str, tuple[str, _Fields]]:
    return {
        str(change.id): (
            change.action,
            {
                spell(field.path): ("(sensitive value)",) * 2 if field.secret else (plan.plain(field.before), plan.plain(field.after))
                for field in change.fields
            },
        )
        for change in made.changes
        if change.action != "keep"
    }


def _first(fields: _Fields) -> str:
    name, (before, after) = next(iter(fields.items()), ("", (None, None)))
    return f" ({name} is {json.dumps(before)} live, {json.dumps(after)} declared)" if name else ""


def _moved(before: tuple[str, _Fields], after: tuple[str, _Fields]) -> str:
    if before[0] != after[0]:
        return f"{before[0]} was approved, it would be {after[0]}"
    for name in sorted(before[1].keys() | after[1].keys()):
        if before[1].get(name) != after[1].get(name):
            was, now = (json.dumps(side.get(name, (None, None))[0]) for side in (before[1], after[1]))
            return f"{name} was {was} live when it was approved, it is {now}"
    return "it has changed"
