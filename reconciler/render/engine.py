"""The engine's view beside the plan: what its preview would do to each stack, and where that is not what the plan says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.ports import Seen, StackView
from reconciler.render import shapes

_NOT_ASKED = "Engine: not asked, since no stack has anything for it to do (with --service it is asked about that one all the same)."
_OPS = {"delete": "-", "create": "+", "update": "~", "import": "<=", "same": " "}


def text(views: Iterable[StackView]) -> str:
    """Every operation a line, as the plan's symbols have it, with what differs said behind it."""
    views = tuple(views)
    if not views:
        return f"\n{_NOT_ASKED}\n"
    told = "\n".join(line for view in views for line in _lines(view))
    return f"\nEngine: its preview of {len(views)} {'stack' if len(views) == 1 else 'stacks'}, on a copy of its record\n{told}\n"


def markdown(views: Iterable[StackView]) -> str:
    """As text in a block of its own."""
    return f"\n```\n{text(views).strip()}\n```\n"


def document(views: Iterable[StackView]) -> list[shapes.EngineStack]:
    """An entry a stack: its operations with their verdicts (planned, allowed, differs, worse), and why it could not tell them, if so."""
    return [
        {
            "stack": view.stack,
            "error": view.message,
            "operations": [
                {"address": step.address, "op": step.op, "fields": list(step.fields), "planned": step.planned, "verdict": step.verdict}
                for step in view.steps
            ],
        }
        for view in views
    ]


def _lines(view: StackView) -> Iterator[str]:
    yield f"  {view.stack}"
    yield from (f"    {_OPS.get(step.op, '-/+'):>3} {step.op} {step.address}{_fields(step)}{_compared(step)}" for step in view.steps)
    if view.message:
        yield f"    ! the engine could not tell: {view.message}"
    elif not view.steps:
        yield "    nothing is to be done"


def _fields(step: Seen) -> str:
    return f" ({', '.join(step.fields)})" if step.fields else ""


def _compared(step: Seen) -> str:
    match step.verdict:
        case "planned":
            return ""
        case "allowed":
            return f"  # engine.allow; the plan says {step.planned}"
        case "differs":
            return f"  # differs: the plan says {step.planned}" + (" and other fields" if step.op == step.planned else "")
        case "worse":
            return f"  # WORSE: the plan says {step.planned}; apply will stop this stack"
