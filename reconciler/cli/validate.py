"""`reconcile validate`: every fault of the specs at once, without touching the world."""

from __future__ import annotations

import json

import click

from reconciler import errors, reading
from reconciler.cli import ending
from reconciler.cli.options import Common, common
from reconciler.model.origin import Fault
from reconciler.render import shapes


@click.command()
@click.argument("paths", nargs=-1, type=click.Path())
@common()
def validate(options: Common, paths: tuple[str, ...]) -> int:
    """Check specs without touching the world. PATHS narrow what is shown."""
    faults: list[Fault] = []
    environments = options.environments()
    for environment in environments:
        try:
            faults += reading.load(options.repo, options.ref, environment).faults
        except errors.SpecError as error:
            faults += error.faults
    shown = sorted({fault for fault in faults if not paths or any(fault.origin.path.startswith(path.removeprefix("./")) for path in paths)})
    if options.form == "json":
        click.echo(json.dumps([_document(fault) for fault in shown], indent=1))
    else:
        for fault in shown:
            click.echo(str(fault))
        if not shown:
            click.echo(f"{', '.join(paths)}: no fault, but {len(faults)} elsewhere" if faults else f"{', '.join(environments)}: valid")
    return ending.FAILED if faults else 0


def _document(fault: Fault) -> shapes.Fault:
    origin = fault.origin
    return {"path": origin.path, "line": origin.line, "column": origin.column, "message": fault.message, "hint": fault.hint}
