"""A saved plan: what was approved, in a file or under its digest, and what has moved since. Pure; holds no secret."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler import errors, plan
from reconciler.model.observation import Observation, Observed
from reconciler.model.plan import Plan
from reconciler.model.value import Value, spell

FORMAT = 2
LASTS = 24 * 3600.0  # seconds for which a saved plan may be applied
_SENSITIVE = "(sensitive value)"
_Fields = Mapping[str, tuple[object, object]]
_Live = Mapping[str, Mapping[str, str]]  # by address and field: a digest of what was read


@dataclass(frozen=True, slots=True)
class Basis:
    """What a plan was made from beside the specs: the *services* that it was narrowed to, the *place* (which account, which cluster; ""
    where that could not be told), and what was read there.
    """

    services: tuple[str, ...] = ()
    place: Mapping[str, str] = field(default_factory=dict)
    observed: Observed = field(default_factory=Observed)


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
    services: tuple[str, ...] = ()
    place: Mapping[str, str] = field(default_factory=dict)
    live: _Live = field(default_factory=dict)


def dump(made: Plan, version: str, now: float, basis: Basis | None = None) -> str:
    """*made* as the text of a plan file; *now* in seconds since the epoch."""
    basis = basis or Basis()
    document = {
        "reconcile_plan": FORMAT,
        "version": version,
        "environment": made.revision.environment,
        "services": list(basis.services),
        "place": dict(basis.place),
        "revision": made.revision.commit,
        "tree": made.revision.tree,
        "digest": made.digest,
        "fingerprint": made.fingerprint,
        "expires": now + LASTS,
        "changes": {address: {"action": action, "fields": fields} for address, (action, fields) in _changes(made).items()},
        "live": _live(made, basis.observed),
    }
    document["seal"] = _seal(document)
    return json.dumps(document, indent=1, default=str) + "\n"


def load(text: str, name: str) -> Saved:
    """The plan in *text*; UsageError where it is none, or not as it was written, naming the file."""
    try:
        document: dict[str, Any] = json.loads(text)
        if document["reconcile_plan"] != FORMAT:
            raise errors.UsageError(f"{name} is a plan of another version", hint="plan again with this one")
        if document.pop("seal", "") != _seal(document):
            raise errors.UsageError(f"{name} has been changed since it was written", hint="plan again, and leave the file as it is")
        return _saved(document)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise errors.UsageError(f"{name} is not a plan file", hint="make one with `reconcile plan --out FILE`") from error


def _saved(document: Mapping[str, Any]) -> Saved:
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
        tuple(document["services"]),
        document["place"],
        document["live"],
    )


def check(saved: Saved, made: Plan, version: str, now: float, basis: Basis | None = None) -> None:
    """Raise StalePlan unless *made*, planned just now from *basis*, is what *saved* approved; the message names what moved."""
    basis = basis or Basis()
    if saved.environment != made.revision.environment:
        raise errors.StalePlan(f"the plan is for {saved.environment}, not {made.revision.environment}", hint="plan this environment")
    for name, was in saved.place.items():
        if was and basis.place.get(name) and was != basis.place[name]:
            raise errors.StalePlan(
                f"the plan was made for {name} {was}, this is {basis.place[name]}", hint="plan where it is to be applied"
            )
    if now > saved.expires:
        raise errors.StalePlan("the plan has expired", hint="plan again, and have it approved")
    if saved.version != version:
        raise errors.StalePlan(f"the plan was made by version {saved.version}, this is {version}", hint="plan again")
    if saved.digest == made.digest and saved.fingerprint == made.fingerprint:
        return
    moved = list(differences(saved, made, basis.observed)) or ["a value that is not shown has moved"]
    raise errors.StalePlan(
        "what was approved is no longer what would be done:\n" + "\n".join(f"  {line}" for line in moved), hint="plan again"
    )


def differences(saved: Saved, made: Plan, observed: Observed | None = None) -> Iterator[str]:
    """What differs between the approved plan and the one that would be carried out, a line each."""
    if saved.tree != made.revision.tree:
        yield f"the specs: tree {saved.tree[:7]} was approved, this is {made.revision.tree[:7]}"
    now, live = _changes(made), _live(made, observed or Observed())
    for address in sorted(saved.changes.keys() | now.keys()):
        before, after = saved.changes.get(address), now.get(address)
        if before is None and after is not None:
            yield f"{address}: {after[0]} was not in the approved plan{_first(after[1])}"
        elif after is None and before is not None:
            yield f"{address}: {before[0]} was approved, nothing is to be done any more"
        elif before and after and before != after:
            yield f"{address}: {_moved(before, after)}"
        elif moved := _other(saved.live.get(address, {}), live.get(address, {})):
            yield f"{address}: {', '.join(moved)} {'differs' if len(moved) == 1 else 'differ'} from what was read when it was approved"


def _changes(made: Plan) -> dict[str, tuple[str, _Fields]]:
    return {
        str(change.id): (
            change.action,
            {
                spell(field.path): (_SENSITIVE,) * 2 if field.secret else (plan.plain(field.before), plan.plain(field.after))
                for field in change.fields
            },
        )
        for change in made.changes
        if change.action != "keep"
    }


def _live(made: Plan, observed: Observed) -> dict[str, dict[str, str]]:
    """What was read of all that *made* touches. A digest would give away a short secret, so those of Secrets have none."""
    touched = {change.id: change for change in made.changes if change.acts}
    return {str(id): dict(_digests(found)) for id in touched if (found := observed.live.get(id, ()))}


def _digests(found: tuple[Observation, ...]) -> Iterator[tuple[str, str]]:
    for number, live in enumerate(found):
        yield ("" if len(found) == 1 else f"{number}.") + "(id)", live.live_id
        secret = live.id.name.startswith("Secret/")
        leaves = (
            leaf for name, value in live.fields.items() if not (secret and name in {"data", "stringData"}) for leaf in _leaves(name, value)
        )
        yield from ((name if len(found) == 1 else f"{number}.{name}", _sha256(plan.plain(value))[:12]) for name, value in leaves)


def _leaves(name: str, value: Value) -> Iterator[tuple[str, Value]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(f"{name}.{key}", item)
    else:
        yield name, value


def _other(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _first(fields: _Fields) -> str:
    name, (before, after) = next(iter(fields.items()), ("", (None, None)))
    return f" ({name} is {json.dumps(before)} live, {json.dumps(after)} declared)" if name else ""


def _moved(before: tuple[str, _Fields], after: tuple[str, _Fields]) -> str:
    if before[0] != after[0]:
        return f"{before[0]} was approved, it would be {after[0]}"
    names = sorted(before[1].keys() | after[1].keys())
    return "; ".join(words for name in names if (words := _told(name, before[1].get(name), after[1].get(name)))) or "it has changed"


def _told(name: str, was: tuple[object, object] | None, now: tuple[object, object] | None) -> str:
    """What is to be said of one field of a change: "" where it is the same in both."""
    if was == now:
        return ""
    if was is None or now is None:
        live, declared = was or now or (None, None)
        held = f"{json.dumps(live)} live, {json.dumps(declared)} declared"
        return f"{name} was as declared when it was approved, it is {held}" if was is None else f"{name} was {held}, it is as declared now"
    side, word = (0, "live") if was[0] != now[0] else (1, "declared")
    return f"{name} was {json.dumps(was[side])} {word} when it was approved, it is {json.dumps(now[side])}"


def _seal(document: Mapping[str, Any]) -> str:
    """Tells a file that was cut or touched from the one that was written; who means to forge one can make it anew."""
    return _sha256(json.loads(json.dumps(document, default=str)))


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
