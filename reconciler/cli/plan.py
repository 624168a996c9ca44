"""`reconcile plan`: what would change, and why."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from reconciler import bootstrap, errors, loop, planfile, version
from reconciler import plan as planning
from reconciler.bootstrap import Home
from reconciler.cli import attendance, ending, faults, handing
from reconciler.cli.approval import basis
from reconciler.cli.options import Common, common
from reconciler.loop import Prepared
from reconciler.model.desired import Desired
from reconciler.model.plan import Plan
from reconciler.ports import StackView
from reconciler.render import document, markdown, text
from reconciler.render import engine as beside


@click.command()
@click.option("--service", "services", multiple=True, help="Only this service (may be given again).")
@click.option("--engine", is_flag=True, help="Show beside it what the engine would do; it takes the engine's credentials, and a while.")
@click.option("--allow-delete-data", is_flag=True, help="Plan as `apply` with this flag does.")
@click.option("--out", type=click.Path(path_type=Path), help="Save the plan, so that `apply FILE` does this and nothing else.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there is anything to do.")
@common(("text", "json", "markdown"))
def plan(
    options: Common, services: tuple[str, ...], engine: bool, allow_delete_data: bool, out: Path | None, detailed_exitcode: bool
) -> int:
    """Show what would change and why. Nothing is changed, and nothing is written but the plan itself."""
    environments = options.environments()
    if out and len(environments) > 1:
        raise errors.UsageError(
            f"--out saves one plan, and there are the environments {', '.join(environments)}", hint="choose one with -e"
        )
    made, codes = [], set()
    for environment in environments:
        try:
            with bootstrap.home(environment) as home:
                world, desired = home.world(options.repo, options.ref)
                faults.tell(desired)
                world = handing.from_here(world, desired) if handing.is_served(world, desired) else world
                prepared = loop.prepare(world, desired, frozenset(services), delete_data=allow_delete_data)
                attendance.warn(world, prepared)
                views = home.views(prepared) if engine else None
                show(prepared.plan, home, options.form, desired, views)
                codes |= {ending.FAILED} if desired.faults or any(view.message for view in views or ()) else set()
                _remember(prepared, home, out)
                made.append(prepared.plan)
        except errors.ReconcilerError as error:
            codes.add(ending.tell(error))
            if isinstance(error, errors.SpecError) and options.form == "json":
                click.echo(json.dumps(faults.unplannable(environment, error.faults), indent=1))
    if codes:
        return ending.FAILED
    return ending.PENDING if detailed_exitcode and any(made) else 0


def show(made: Plan, home: Home, form: str, desired: Desired, views: tuple[StackView, ...] | None = None) -> None:
    """Print *made*, with the faults of *desired* where they belong to it, and the engine's *views* where they were asked for."""
    if form == "json":
        told = document.render(made, home.kinds)
        told["errored"], told["diagnostics"] = bool(desired.faults), faults.diagnostics(desired.faults, desired.lost)
        if views is not None:
            told["engine"] = beside.document(views)
        click.echo(json.dumps(told, indent=1, default=str))
    elif form == "markdown":
        click.echo(faults.fits(markdown.render(made) + ("" if views is None else beside.markdown(views)), desired.faults), nl=False)
    else:
        click.echo(text.render(made), nl=False)
        try:
            planning.guard(made, home.environment.guard)
        except errors.UnsafePlanError as error:
            click.echo(f"Note: apply will stop: {error.message} ({error.hint})")
        click.echo("" if views is None else beside.text(views), nl=False)


def _remember(prepared: Prepared, home: Home, out: Path | None) -> None:
    """Save the plan where asked, and under its digest beside the environment's state: `apply --digest` can then say what moved."""
    made = prepared.plan
    if out:
        out.write_text(planfile.dump(made, version.VERSION, time.time(), basis(prepared, home.identity())))
    if made:
        home.remember(made.digest, planfile.dump(made, version.VERSION, time.time(), basis(prepared, {})))
