"""`reconcile policies`: what each role may do in AWS and Kubernetes, to be handed to IAM and kubectl as it is."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler import policies as shipped

ROLES = ("plan", "apply", "members", "sessions")
SIDES = {"aws": ".json", "kubernetes": ".yaml"}


@click.command()
@click.argument("role", type=click.Choice(ROLES))
@click.option("--for", "side", type=click.Choice(tuple(SIDES)), required=True, help="An IAM policy, or Kubernetes roles.")
def policies(role: str, side: str) -> int:
    """Print what ROLE needs and no more: an IAM policy document, or ClusterRoles without bindings."""
    path = Path(next(iter(shipped.__path__))) / f"{role}{SIDES[side]}"
    if path.exists():
        click.echo(path.read_text(), nl=False)
    else:
        click.echo(f"{role} needs nothing in AWS: give it no role there", err=True)
    return 0
