"""`reconcile demo`: the main job from nothing, for everyone to read. Each step runs real commands and checks what they promise."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from lab import lifecycle
from lab.demo import after, beginning, first, place, pull_request
from lab.demo.stage import Stage
from lab.error import LabError

STEPS: tuple[tuple[str, Callable[[Stage], None]], ...] = (
    ("A lab on this machine", beginning.bring_up),
    ("A config repository", beginning.make_repositories),
    ("Machines to configure", beginning.start_machines),
    ("Validate", first.validate),
    ("Plan", first.plan),
    ("Apply", first.apply),
    ("Use it", first.use),
    ("The machines", first.sessions),
    ("Plan again: nothing to do", after.plan_again),
    ("Drift, named and healed", after.drift),
    ("A commit that would lose data", after.shrink),
    ("A service goes, its data stays", after.remove),
    ("A pull request in miniature", pull_request.play),
)
_INTRODUCTION = f"""\
The main job, from nothing: a git commit becomes volumes, names, Kubernetes objects and configured machines.
Everything runs on this machine, in namespaces of its own. It takes two to four minutes on two cores.
Lines with $ can be typed by hand, >>> is Python; ✓ is a promise that was checked, and the demo ends where one is not kept.
The whole output of every command is kept in {place.LOG}."""
_EXPORTS = f'export PATH="$PWD/.venv/bin:$PATH" RECONCILE_REPO={place.BARE} KUBECONFIG={place.KUBECONFIG}'
_CLOSING = f"""
The lab is still up, and yours. To go on:
  {_EXPORTS}
  reconcile status
  reconcile lab exec -- redis-cli -h kv-0.{first.ZONE} GET greeting
  kubectl get pods -o wide
  edit {place.SPECS}, commit, git push; then: reconcile plan, reconcile apply
To stop it:
  reconcile lab down"""


@click.command()
@click.option("--down", is_flag=True, help="Take the lab down at the end.")
def demo(down: bool) -> None:
    """Run the main job from nothing, in a lab that is left up to try things in."""
    beginning.preflight()
    place.prepare()
    click.echo(_INTRODUCTION)
    stage, began = Stage(place.LOG, place.environment()), time.monotonic()
    try:
        for title, play in STEPS:
            with stage.step(title):
                play(stage)
    except (LabError, KeyboardInterrupt):
        click.echo(f"\nThe lab is left up to look at: its logs are in {place.LAB}/logs. `reconcile lab down` stops it.")
        raise
    _close(stage, time.monotonic() - began)
    if down:
        lifecycle.down(place.LAB)
        click.echo("\nThe lab is down.")
    else:
        click.echo(_CLOSING)


def _close(stage: Stage, took: float) -> None:
    click.echo()
    for number, (title, seconds) in enumerate(stage.steps, start=1):
        click.echo(f"{seconds:7.1f} s  {number:2}. {title}")
    click.secho(f"{took:7.1f} s  in all: every promise was kept", fg="green", bold=True)
