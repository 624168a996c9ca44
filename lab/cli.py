"""`reconcile lab up|down|status|exec`: arguments → one call → exit code."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from lab import layout, lifecycle
from reconciler.cli import ending

_directory = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=layout.default_dir,
    help="The lab's folder.",
    show_default=".reconcile/lab",
)
_format = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")


@click.group()
def lab() -> None:
    """AWS and Kubernetes on this machine, in namespaces of their own."""


@lab.command()
@_directory
@_format
def up(directory: Path, form: str) -> None:
    """Bring a lab up, empty; one that is up already is left as it is."""
    started = time.monotonic()
    running, fresh = lifecycle.up(directory)
    if form == "json":
        click.echo(json.dumps(lifecycle.status(directory), indent=1))
        return
    took = f"is up ({time.monotonic() - started:.1f} s)" if fresh else "was up already"
    click.echo(f"The lab in {running.dir} {took}.")


@lab.command()
@_directory
@_format
def down(directory: Path, form: str) -> None:
    """End a lab with everything it started; its logs stay."""
    found = lifecycle.down(directory)
    if form == "json":
        click.echo(json.dumps({"dir": str(directory.absolute()), "was_up": found}))
        return
    click.echo(f"The lab in {directory.absolute()} is down." if found else f"No lab was up in {directory.absolute()}.")


@lab.command()
@_directory
@_format
def status(directory: Path, form: str) -> None:
    """Show how to reach a lab, and whether its processes run."""
    document = lifecycle.status(directory)
    click.echo(json.dumps(document, indent=1) if form == "json" else "\n".join(_lines(document)))


@lab.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@_directory
@click.option("--node", default="", help="On the network of this node of the lab.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(directory: Path, node: str, command: tuple[str, ...]) -> None:
    """Run a command inside a lab's namespaces."""
    sys.exit(lifecycle.exec_(directory, command, node))


def _lines(document: dict[str, Any]) -> list[str]:
    processes = [
        f"  {name:<24}{process['state']:<12}{process['pid'] or '':>8}{_restarts(process['starts'])}"
        for name, process in document["processes"].items()
    ]
    return [
        f"The lab in {document['dir']}",
        f"  AWS         {document['aws']['endpoint']} ({document['aws']['region']})",
        f"  Kubernetes  KUBECONFIG={document['kubeconfig']}",
        f"  DNS         {document['dns']}",
        *processes,
    ]


def _restarts(starts: int) -> str:
    return f"  started {starts} times" if starts > 1 else ""


if __name__ == "__main__":
    ending.run(lab, None)
