"""A plan as text, in Terraform's words: people read them and tools search for them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping

from reconciler.model.change import Action, Change, FieldChange
from reconciler.model.plan import ComponentsSummary, Plan
from reconciler.model.value import Ref, Value, spell
from reconciler.render import notes
from reconciler.resources import marks

NO_CHANGES = "No changes. Your infrastructure matches the configuration."
SYMBOLS: dict[Action, str] = {"create": "+", "update": "~", "replace": "-/+", "delete": "-", "adopt": "<=", "forget": ".", "move": "~"}
_HEADLINES: dict[Action, str] = {
    "create": "will be created",
    "update": "will be updated in-place",
    "replace": "must be replaced",
    "delete": "will be destroyed",
    "adopt": "will be imported",
    "forget": "will be forgotten",
    "move": "has moved",
    "hold": "is on hold",
    "refuse": "is refused",
    "keep": "is as declared",
}
_WIDE = 60  # values of a created thing stand side by side as long as they are this short
_MOST = 12  # differing lines of one text
_HIDDEN_TAGS = "reconciler/"


def render(plan: Plan) -> str:
    """The whole plan, ending in a newline."""
    lines = [*_drift(plan)]
    for change in notes.shown(plan):
        lines += [f"  {headline(change)}", *fields(change)]
    lines += [f"  {line}" for line in notes.held(plan)]
    if lines:
        lines.append("")
    lines += footer(plan)
    return "\n".join(lines) + "\n"


def footer(plan: Plan) -> Iterator[str]:
    """The counts, the components, and the digest to approve."""
    yield counts(plan)
    yield from (f"Warning: {line}." for line in plan.warnings)
    yield from notes.ignored(plan)
    yield from (components(summary) for summary in plan.components if summary.pending or summary.failed)
    if plan:
        yield f"Digest {plan.digest} of {plan.revision.short}"


def counts(plan: Plan) -> str:
    """`Plan: 1 to add, 2 to change, 1 to destroy. 1 on hold, 1 refused.`"""
    summary = plan.summary
    if all(change.action == "keep" for change in plan.changes) and not plan.held:
        return NO_CHANGES
    words = [f"{summary['import']} to import"] if summary["import"] else []
    words += [f"{summary[name]} to {name}" for name in ("add", "change", "destroy")]
    words += [f"{summary['forget']} to forget"] if summary["forget"] else []
    still = [f"{summary[name]} {word}" for name, word in (("hold", "on hold"), ("refuse", "refused")) if summary[name]]
    return f"Plan: {', '.join(words)}." + (f" {', '.join(still)}." if still else "")


def components(summary: ComponentsSummary) -> str:
    """`Components: 40 of 1000 pending for compute-2026-11 (layers 0, 2), 3 failed.`"""
    layers = f" (layers {', '.join(map(str, summary.layers))})" if summary.layers else ""
    failed = f", {summary.failed} failed" if summary.failed else ""
    return f"Components: {summary.pending} of {summary.total} pending for {summary.configuration}{layers}{failed}."


def headline(change: Change) -> str:
    """`# ADDRESS will be created (declared, not found)`, with whose work it is where that is not the engine's."""
    owner = f"; owner: {change.owner}" if change.owner != "engine" and change.acts else ""
    impact = f"  # {change.impact}" if change.impact else ""
    if change.was not in {"", str(change.id)}:
        return f"# {change.was} {_HEADLINES[change.action]} to {change.id} ({change.reason}{owner}){impact}"
    return f"# {change.id} {_HEADLINES[change.action]} ({change.reason}{owner}){impact}"


def _drift(plan: Plan) -> list[str]:
    if not plan.drift:
        return []
    return [f"Note: {notes.DRIFTED}", *(f"  ~ {line}" for line in notes.drift(plan)), ""]


def fields(change: Change) -> list[str]:
    """The lines below a change's headline."""
    if change.action == "create":
        return _wrapped("+", [f"{name} = {shown}" if name else shown for name, shown in _created(change)])
    if change.action in {"update", "replace", "adopt", "move"}:
        shown = (field for field in change.fields if change.action != "move" or not _is_mark(field))
        return [line for field in shown for line in _field(field)]
    return []


def _field(field: FieldChange) -> Iterator[str]:
    """How one field changes. Of a text of many lines, only those that differ."""
    before, after = field.before, field.after
    if field.secret or not (isinstance(before, str) and isinstance(after, str) and "\n" in before + after):
        yield f"  {_symbol(field)} {_way(field)}"
        return
    old, new = before.splitlines(), after.splitlines()
    differing = [line for line in list(difflib.unified_diff(old, new, n=0, lineterm=""))[2:] if not line.startswith("@")]
    yield f"  ~ {spell(field.path)}"
    yield from (f"      {line[0]} {line[1:]}" for line in differing[:_MOST])
    if len(differing) > _MOST:
        yield f"      ({len(differing) - _MOST} more lines)"
    if not differing:
        yield "      (only the ends of lines differ)"


def _is_mark(field: FieldChange) -> bool:
    """Whether *field* only says whose a thing is, which the headline of a move says already."""
    return any(str(step).startswith(marks.PREFIX) for step in field.path)


def _symbol(field: FieldChange) -> str:
    return "+" if field.before is None else "-" if field.after is None else "~"


def _way(field: FieldChange) -> str:
    name = spell(field.path)
    if field.secret:
        return f"{name} = (sensitive value)"
    if field.before is None:
        return f"{name} = {_brief(field.after)}"
    if field.after is None:
        return f"{name} = {_brief(field.before)} -> null"
    return f"{name} = {value(field.before)} -> {value(field.after)}"


def _brief(whole: Value) -> str:
    lines = whole.splitlines() if isinstance(whole, str) else ()
    return f"({len(lines)} lines)" if len(lines) > 1 else value(whole)


def _created(change: Change) -> Iterator[tuple[str, str]]:
    """What a new thing is made of. An object's own kind, name and marks stand in its address already; its depths are only counted."""
    hidden = 0
    for field in change.fields:
        name = spell(field.path)
        if field.secret:
            yield name, "(sensitive value)"
        elif name not in {"apiVersion", "kind", "metadata", "zone_id"} and field.after not in (None, {}, []):
            for path, leaf in leaves(name, field.after):
                if _is_telling(change, path, leaf):
                    yield path, value(leaf)
                elif not path.startswith(f"tags.{_HIDDEN_TAGS}"):
                    hidden += 1
    if hidden:
        yield "", f"({hidden} more)"


def leaves(path: str, value_: Value) -> Iterator[tuple[str, Value]]:
    """Every value of a tree under its dotted path; a list of named items by their names."""
    if isinstance(value_, Mapping) and value_:
        for name, item in value_.items():
            yield from leaves(f"{path}.{name}", item)
    elif isinstance(value_, list | tuple) and value_ and all(isinstance(item, Mapping) for item in value_):
        for index, item in enumerate(value_):
            key = item.get("name", index) if isinstance(item, Mapping) else index
            yield from leaves(f"{path}[{key}]", item)
    else:
        yield path, value_


def _is_telling(change: Change, path: str, leaf: Value) -> bool:
    if change.id.kind != "kubernetes":
        return not path.startswith(f"tags.{_HIDDEN_TAGS}")
    return path.endswith(".image") or (path.count(".") <= 1 and len(str(leaf)) <= _WIDE)


def _wrapped(symbol: str, words: list[str]) -> list[str]:
    """Short values side by side, long ones on a line of their own."""
    lines: list[str] = []
    row = ""
    for word in words:
        cell = f"  {symbol} {word}"
        if len(row) + len(cell) > 2 * _WIDE or len(cell) > _WIDE:
            lines += [row] if row else []
            row = ""
        row = f"{row}{cell if not row else ' ' + cell}"
    return lines + ([row] if row else [])


def value(value: Value) -> str:
    """A value as a plan shows it; text of AWS and Kubernetes in quotes only where it has spaces or could be mistaken."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return value if value and all(c.isalnum() or c in "-_./" for c in value) else json.dumps(value, ensure_ascii=False)
        case int() | float():
            return str(value)
        case Ref():
            return str(value)
        case _:
            return json.dumps(value, default=str, ensure_ascii=False, separators=(", ", ": "))
