"""A plan as a pull-request comment: counts and losses first, the changes folded, cut at the host's limit."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.change import Action, Change
from reconciler.model.plan import Plan
from reconciler.render import notes, text

LIMIT = 65_536  # characters that GitHub takes in one comment
_FOLDED_FROM = 12  # lines
_DIFF: dict[Action, str] = {"create": "+", "update": "!", "replace": "-", "delete": "-", "forget": "-", "adopt": "!", "move": "!"}
_LOSSES: frozenset[Action] = frozenset({"delete", "replace", "forget"})


def render(plan: Plan) -> str:
    """The comment; its first line is a marker by which the next one finds and replaces it."""
    head = "\n".join(_head(plan))
    body = "\n".join(_body(plan))
    room = LIMIT - len(head) - 200
    if len(body) > room:
        body = body[: body.rfind("\n", 0, room)] + "\n# … cut here: the whole plan is in the run's log"
    folded = _folded(body) if body else ""
    return f"{head}\n{folded}" if folded else f"{head}\n"


def _head(plan: Plan) -> Iterator[str]:
    yield f"<!-- reconcile plan {plan.revision.environment} -->"
    yield f"### Plan for `{plan.revision.environment}` at `{plan.revision.short}`"
    yield ""
    yield f"**{text.counts(plan)}**"
    yield from _fitting(list(_told(plan)))
    if plan:
        yield ""
        yield f"Digest `{plan.digest}`. It is applied as shown, or not at all."
    yield ""


def _told(plan: Plan) -> Iterator[str]:
    """What a reader must not miss, a line each: losses, what is left as it is, what restarts, drift, what is passed over."""
    yield from (f"- :warning: {text.headline(change).removeprefix('# ')}" for change in plan.changes if change.action in _LOSSES)
    still = [text.headline(change) for change in notes.shown(plan) if change.action in {"hold", "refuse"}]
    yield from (f"- :no_entry: {line.removeprefix('# ')}" for line in (*notes.held(plan), *still))
    felt = (change for change in plan.changes if change.impact and change.acts and change.action not in _LOSSES)
    yield from (f"- :warning: {line}" for line in plan.warnings)
    yield from (f"- :arrows_counterclockwise: {change.id}: {change.impact}" for change in felt)
    yield from (f"- {line}" for line in notes.ignored(plan))
    yield from (f"- {text.components(summary)}" for summary in plan.components if summary.pending or summary.failed)
    yield from (f"- :eyes: {line}" for line in notes.drift(plan))


def _fitting(lines: list[str]) -> list[str]:
    """As many of *lines* as leave room for the changes themselves, and how many more there are."""
    room = LIMIT // 2
    kept = [line for line in lines if (room := room - len(line) - 1) >= 0]
    return [*kept, f"- … and {len(lines) - len(kept)} more lines: the whole plan is in the run's log"] if len(kept) < len(lines) else kept


def _body(plan: Plan) -> Iterator[str]:
    for change in plan.changes:
        if change.acts:
            yield from _lines(change)


def _lines(change: Change) -> Iterator[str]:
    yield text.headline(change)
    for line in text.fields(change):
        yield _DIFF[change.action] + line.strip()[1:] if change.action == "create" else _marked(line.strip())


def _marked(line: str) -> str:
    return f"!{line[1:]}" if line.startswith("~") else line


def _folded(body: str) -> str:
    block = f"```diff\n{body}\n```\n"
    if body.count("\n") < _FOLDED_FROM:
        return block
    return f"<details><summary>Show every change</summary>\n\n{block}\n</details>\n"
