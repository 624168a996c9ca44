"""An account of one resource as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from reconciler import account
from reconciler import plan as planning
from reconciler.account import Case, Row
from reconciler.render import shapes, text

_COLUMNS = ("FIELD", "VALUE", "OWNER")
_WIDE = 64  # characters of a column; a longer path pushes what stands behind it


def document(case: Case) -> shapes.Account:
    """All of it, for scripts."""
    change, resource = case.change, case.resource
    return {
        "address": str(case.id),
        "environment": case.desired.environment.name,
        "revision": case.desired.revision.commit,
        "declared": {"by": resource.stack, "origin": str(resource.origin), "owner": resource.owner} if resource else None,
        "live": [{"id": one.live_id, "since": one.since, "attributes": dict(one.attributes)} for one in case.live],
        "engine": case.recorded is not None,
        "states": list(account.states(case)),
        "plan": {"action": change.action, "reason": change.reason, "impact": change.impact} if change else None,
        "applied": dict(case.applied) if case.applied else None,
        "needs": sorted(map(str, resource.needs)) if resource else [],
        "needed_by": account.needing(case),
        "references": [{"field": field, "to": to, "is": now} for field, to, now in account.references(case)],
        "fields": [
            {
                "path": row.path,
                "declared": planning.plain(row.declared),
                "live": planning.plain(row.live),
                "owner": row.owner,
                "source": source(case, row),
            }
            for row in account.rows(case)
        ],
    }


def lines(case: Case) -> Iterator[str]:
    """All of it, for people."""
    yield str(case.id)
    for name, told in _facts(case):
        yield f"  {name:<10} {told}"
    table = [_COLUMNS, *((row.path, _value(row), _whose(case, row)) for row in account.rows(case))]
    widths = [min(_WIDE, max(len(line[column]) for line in table)) for column in range(2)]
    yield ""
    for line in table if len(table) > 1 else ():
        yield ("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, [*widths, 0], strict=True))).rstrip()


def source(case: Case, row: Row) -> str:
    """Where a declared field comes from: a line of a spec, a default of it, or what its type renders."""
    resource = case.resource
    if row.declared is None or resource is None:
        return ""
    name, _, below = row.path.partition(".")
    if name not in resource.spelt:
        return "rendered"
    if _written(case, resource.spelt[name]):
        return row.origin
    return "rendered" if below else "default"


def _facts(case: Case) -> Iterator[tuple[str, str]]:
    """What stands above the fields, each with its name."""
    yield "declared", _declared(case)
    yield "live", _live(case)
    yield from (("is", state) for state in account.states(case))
    if case.change:
        yield "plan", text.headline(case.change).removeprefix(f"# {case.id} ")
    yield "applied", _applied(case)
    if case.resource:
        yield from (("needs", str(id)) for id in sorted(case.resource.needs))
    yield from (("needed by", id) for id in account.needing(case))
    yield from (("refers to", f"{to} in {field}: {now}") for field, to, now in account.references(case))


def _declared(case: Case) -> str:
    resource = case.resource
    if resource is None:
        why = case.desired.held.get(case.live[0].stack if case.live else case.id.service)
        return f"unknown: {why}" if why else f"by nothing at {case.desired.revision.short}"
    service = case.desired.service(resource.stack)
    whose = f"service {service.name}, {service.type}" if service else "what services share"
    return f"{resource.origin} at {case.desired.revision.short} ({whose}); owner: {resource.owner}"


def _live(case: Case) -> str:
    if not case.live:
        return "nothing"
    known = "known to the engine" if case.recorded else "unknown to the engine"
    if case.resource and case.resource.owner == "members":
        known = "the members' own, which the engine does not know"
    since = f" since {case.live[0].since}" if case.live[0].since else ""
    return f"{', '.join(one.live_id for one in case.live)}{since}; {known}"


def _applied(case: Case) -> str:
    if not case.applied:
        return "by no apply that this history knows of"
    when = datetime.fromtimestamp(case.applied["time"], UTC).isoformat(timespec="seconds")
    return f"{case.applied['deed']} by the {case.applied['action']} of {case.applied['commit'][:7] or 'a working tree'}, {when}"


def _written(case: Case, path: str) -> bool:
    """Whether the spec itself says what stands at *path*, `spec.volumes.data.type`: what it leaves out stands where its parent does."""
    locate = case.resource.locate if case.resource else None
    return locate is not None and locate(path) != locate(path.rpartition(".")[0])


def _whose(case: Case, row: Row) -> str:
    told = source(case, row)
    return row.owner if told in {"", "rendered"} else f"{row.owner} ({told})"


def _value(row: Row) -> str:
    """What is live; and what is declared, where that is something else."""
    live, declared = _cell(row.live), _cell(row.declared)
    if row.declared is None or live == declared:
        return live
    return f"{declared} (not there)" if row.live is None else f"{live} (declared {declared})"


def _cell(value: Any) -> str:
    shown = text.value(value)
    return shown if len(shown) <= _WIDE else f"{shown[: _WIDE - 1]}…"


__all__ = ["document", "lines", "source"]
