"""`reconcile serve`: go on for ever from a branch."""

from __future__ import annotations

import time

import click

from reconciler import errors
from reconciler import serve as serving
from reconciler.cli.options import Common, common, seconds
from reconciler.serve import ROLES, How


@click.command()
@click.option("--roles", default=",".join(ROLES), help="What this process does, with commas between.", show_default=True)
@click.option("--interval", default="10s", help="How often to look at the branch.", show_default=True)
@click.option("--listen", default="127.0.0.1:8080", help="Where to answer HTTP: HOST:PORT, port 0 for any.", show_default=True)
@common(("text",))
def serve(options: Common, roles: str, interval: str, listen: str) -> int:
    """Follow a branch: carry its commits out as far as the environment's policy lets it, and place members all the time."""
    environment = options.environment or options.only()  # where it is named, the branch may be away when this begins
    how = How(environment, options.repo, options.ref, _roles(roles), seconds("--interval", interval), listen)
    serving.serve(how, _say)
    return 0


def _roles(text: str) -> frozenset[str]:
    """The roles that *text* lists."""
    roles = frozenset(one.strip() for one in text.split(",") if one.strip())
    if not roles or not roles <= set(ROLES):
        raise errors.UsageError(f"--roles {text}: roles are {', '.join(ROLES)}", hint="for example --roles reconcile,members")
    if len(roles & {"batcher", "operator"}) == 1:
        raise errors.UsageError("batcher and operator share one store, and so one process", hint="give both, or neither")
    if "api" in roles and "reconcile" not in roles:
        raise errors.UsageError("api hands over to reconcile in the same process", hint="add reconcile")
    return roles


def _say(words: str) -> None:
    click.echo(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {words}", err=True)
