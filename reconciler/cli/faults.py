"""What is wrong with the specs, told beside what is planned all the same: on stderr, in JSON and in a pull-request comment."""

from __future__ import annotations

from collections.abc import Iterable

import click

from reconciler.model.desired import Desired
from reconciler.model.origin import Fault
from reconciler.render import document, markdown, shapes


def tell(desired: Desired) -> None:
    """Print the faults of *desired* as errors, and why nothing is removed."""
    for fault in desired.faults:
        click.echo(f"error: {fault}", err=True)
    if desired.faults:
        click.echo("hint: these documents, and what depends on them, are left as they are, and nothing is removed", err=True)
    elif desired.lost:
        click.echo(f"warning: nothing is removed: {desired.lost}", err=True)


def diagnostics(faults: Iterable[Fault], lost: str = "") -> list[shapes.Diagnostic]:
    """As the JSON of a plan has them; *lost* is why nothing is removed though no document is at fault."""
    found: list[shapes.Diagnostic] = [
        {
            "severity": "error",
            "summary": fault.message,
            "detail": fault.hint,
            "path": fault.origin.path,
            "line": fault.origin.line,
            "column": fault.origin.column,
        }
        for fault in faults
    ]
    if lost and not found:
        found.append({"severity": "warning", "summary": f"nothing is removed: {lost}", "detail": "", "path": "", "line": 0, "column": 0})
    return found


def unplannable(environment: str, faults: Iterable[Fault]) -> shapes.Plan:
    """What stands for the plan of an environment whose own document is at fault."""
    return {"format_version": document.FORMAT_VERSION, "environment": environment, "errored": True, "diagnostics": diagnostics(faults)}


def comment(faults: Iterable[Fault], room: int) -> str:
    """Lines for a comment in Markdown that has *room* characters left."""
    lines = [f"- :x: {_escaped(str(fault))}\n" for fault in faults]
    shown = list(lines)
    while sum(map(len, shown)) > room - 60:
        shown.pop()
    more = f"- :x: … and {len(lines) - len(shown)} more\n" if len(shown) < len(lines) else ""
    return f"\n{''.join(shown)}{more}" if lines else ""


def fits(text: str, faults: Iterable[Fault]) -> str:
    """*text*, a comment, with its *faults* at the end, cut at the host's limit."""
    return text + comment(faults, markdown.LIMIT - len(text))


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("\n", " ")
