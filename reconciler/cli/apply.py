"""`reconcile apply` and `destroy`: plan, approval, and the way until everything is as declared."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from reconciler import bootstrap, errors, loop, past, planfile
from reconciler import plan as planning
from reconciler.bootstrap import Home
from reconciler.cli import approval, attendance, ending, faults, handing, progress
from reconciler.cli.approval import Approval
from reconciler.cli.handing import Hand
from reconciler.cli.options import Common, common, seconds
from reconciler.loop import Prepared
from reconciler.model.outcome import Done, Failed, Waiting, spell
from reconciler.model.plan import Plan
from reconciler.model.report import Report
from reconciler.ports import Lease
from reconciler.render import text
from reconciler.world import World


@click.command()
@click.argument("planfile_", metavar="[PLANFILE]", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--digest", default="", help="Apply only if the plan has this digest.")
@click.option("--auto-approve", is_flag=True, help="Apply what is planned without asking.")
@click.option("--service", "services", multiple=True, help="Only this service (may be given again).")
@click.option("--allow-deletes", type=int, default=None, help="Let pass a plan that deletes this many.")
@click.option("--allow-delete-data", is_flag=True, help="Delete the data of removed volumes whose spec said deletionPolicy: Delete.")
@click.option("--allow-unattended", is_flag=True, help="Go on although nobody places members once this has ended.")
@click.option("--timeout", default="15m", help="How long to wait until everything is ready.", show_default=True)
@click.option("--no-wait", is_flag=True, help="Start everything and return.")
@common(("text",))
def apply(
    options: Common,
    planfile_: Path | None,
    digest: str,
    auto_approve: bool,
    services: tuple[str, ...],
    allow_deletes: int | None,
    allow_delete_data: bool,
    allow_unattended: bool,
    timeout: str,
    no_wait: bool,
) -> int:
    """Make the world match the specs, and wait until it does. PLANFILE is a plan saved with `plan --out`; it is its own approval."""
    saved = _load(planfile_, services) if planfile_ else None
    approved, only = Approval(saved, digest, auto_approve), frozenset(saved.services if saved else services)
    environment = saved.environment if saved else options.only()
    ref = saved.commit or options.ref if saved else options.ref
    how = loop.Options(timeout=seconds("--timeout", timeout), wait=not no_wait)
    with bootstrap.home(environment) as home:
        world, desired = home.world(options.repo, ref)
        hand = (
            handing.Hand(home.served, allow_deletes, allow_delete_data)
            if not allow_unattended and handing.is_served(world, desired)
            else None
        )
        world = handing.from_here(world, desired) if hand else world
        with home.interruptible(), _locked(world, hand) as home.lease:  # in this order: who is interrupted gives the lease back
            seen = loop.settle(world, environment, note) if hand is None else frozenset()
            faults.tell(desired)
            prepare = partial(loop.prepare, world, desired, only, seen, delete_data=allow_delete_data)
            prepared = prepare()
            click.echo(text.render(prepared.plan), nl=False)
            approved.check(prepared, home)
            planning.guard(prepared.plan, desired.environment.guard, allow_deletes)
            attendance.require(world, prepared, allowed=allow_unattended)
            if prepared.plan and approved.asks:
                prepared = asked(prepared, prepare, home)
            return ended(home, carry_out(world, prepared, how, hand=hand))


@click.command()
@click.option("--service", required=True, help="The service to take down.")
@click.option("--auto-approve", is_flag=True)
@click.option("--timeout", default="15m", show_default=True)
@common(("text",))
def destroy(options: Common, service: str, auto_approve: bool, timeout: str) -> int:
    """Take down SERVICE, which the specs no longer declare. Its volumes are kept."""
    with bootstrap.home(options.only()) as home:
        world, desired = home.world(options.repo, options.ref)
        found = desired.service(service)
        if found or service in desired.held:
            hint = "remove it from the specs first; `apply` then does the rest"
            raise errors.UsageError(f"{found.origin if found else options.repo} still declares {service}", hint=hint)
        with home.interruptible(), loop.lock(world) as home.lease:
            seen = loop.settle(world, desired.environment.name, note)
            only = frozenset({service})
            prepared = loop.prepare(world, desired, only, seen)
            faults.tell(desired)
            click.echo(text.render(prepared.plan), nl=False)
            if prepared.plan and not auto_approve:
                prepared = asked(prepared, lambda: loop.prepare(world, desired, only, seen), home)
            return ended(home, carry_out(world, prepared, loop.Options(timeout=seconds("--timeout", timeout)), "destroy"))


def _locked(world: World, hand: Hand | None) -> AbstractContextManager[Lease | None]:
    """The lease of a pass; none where a server makes the pass, which takes it where it needs it."""
    return nullcontext() if hand else loop.lock(world)


def _load(path: Path, services: tuple[str, ...]) -> planfile.Saved:
    """The plan file at *path*, which says itself what it is narrowed to."""
    if services:
        raise errors.UsageError("a plan file says itself which services it is for", hint="leave out --service")
    try:
        return planfile.load(path.read_text(), str(path))
    except UnicodeDecodeError as error:
        raise errors.UsageError(f"{path} is not a plan file", hint="make one with `reconcile plan --out FILE`") from error


def asked(prepared: Prepared, again: Callable[[], Prepared], home: Home) -> Prepared:
    """Ask, and look *again* before anything is done: whoever is asked may take an hour."""
    approval.ask()
    now = again()
    approval.require_unmoved(prepared, now, home)
    return now


def ended(home: Home, code: int) -> int:
    """*code*; an end that nobody asked for has a reason to be told."""
    if home.lease is not None and home.lease.lost:
        note("another run has, or may have, the lock: the lease could not be renewed in time; nothing new was started")
    return code


def note(words: str) -> None:
    click.echo(f"Note: {words}", err=True)


def carry_out(world: World, prepared: Prepared, how: loop.Options, action: str = "apply", hand: Hand | None = None) -> int:
    """Do it here, or have it done by *hand*, where it is also entered into the history."""
    plan = prepared.plan
    with progress.shown(len(plan.acting), plain=False) as shown:
        report = (hand.over if hand else loop.converge)(world, prepared, replace(how, progress=shown.step, said=shown.stand))
    code = _code(plan, report, interrupted=world.stopping(), waited=how.wait)
    if code == 0 and prepared.desired.faults:
        code = ending.PARTLY if plan.acting else ending.REFUSED
    result = {0: "converged", ending.INTERRUPTED: "interrupted", ending.FAILED: "failed", ending.REFUSED: "refused"}.get(code, "partly")
    if hand is None and (plan or code):
        past.record(world, prepared, report, action, result)
    _close(plan, report, code)
    return code


def _code(plan: Plan, report: Report, *, interrupted: bool, waited: bool) -> int:
    """The exit code, as the interface has it."""
    if interrupted:
        return ending.INTERRUPTED
    waiting = bool(report.waiting) and waited
    if not waiting and all(isinstance(outcome, Done | Waiting) for outcome in report.outcomes.values()):
        return 0
    still = [change for change in plan.changes if change.action in {"hold", "refuse"}]
    others = {name: outcome for name, outcome in report.outcomes.items() if name not in {str(change.id) for change in still}}
    if still and not plan.acting and not waiting and all(isinstance(outcome, Done | Waiting) for outcome in others.values()):
        return ending.REFUSED
    acting = [report.outcomes.get(str(change.id)) for change in plan.acting if change.owner == "engine"]
    nothing_done = bool(acting) and not any(isinstance(outcome, Done | Waiting) for outcome in acting)
    return ending.FAILED if nothing_done and not still else ending.PARTLY


def _close(plan: Plan, report: Report, code: int) -> None:
    """The last words: what failed or is waited for and was not said in the plan, or that all is well."""
    told = {str(change.id) for change in plan.changes if change.action in {"hold", "refuse"}}
    for words, names in _alike(report, told).items():
        whole = code == ending.INTERRUPTED  # whoever stops it wants to know what is left
        more = f" (and {len(names) - 1} more)" if len(names) > 1 and not whole else ""
        click.echo("\n".join(f"{name}{more}: {words}" for name in (names if whole else names[:1])))
    counts = plan.summary
    done = [f"{counts['add']} added", f"{counts['change']} changed", f"{counts['destroy']} destroyed"]
    done += [f"{counts[name]} {word}" for name, word in (("import", "imported"), ("forget", "forgotten")) if counts[name]]
    if code == 0:
        click.echo(f"Apply complete! Resources: {', '.join(done)}." if plan.acting else "Apply complete! Everything is as declared.")
    elif code == ending.INTERRUPTED:
        click.echo("Interrupted; what was in flight has finished. It is safe to run again.")
    elif code == ending.REFUSED:
        click.echo("Nothing else was to be done; what is refused or on hold is left as it is.")
    elif any(isinstance(outcome, Failed) for outcome in report.outcomes.values()):
        click.echo("Apply stopped short; the lines above say why. Run it again once they are mended.")
    else:
        click.echo("Apply timed out; the lines above say what is waited for. Run it again to go on.")


def _alike(report: Report, told: set[str]) -> dict[str, list[str]]:
    """The names of what did not end well, by what is to be said of them."""
    alike: dict[str, list[str]] = {}
    for name, outcome in sorted(report.outcomes.items()):
        if not isinstance(outcome, Done) and name not in told:
            alike.setdefault(spell(outcome), []).append(name)
    return alike
