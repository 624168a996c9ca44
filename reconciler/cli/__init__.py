"""The command line: arguments → one call → exit code. Commands are imported when they are used, so that `--help` imports none."""

from __future__ import annotations

import gc
import importlib
from typing import Any

import click

COMMANDS = {
    "validate": ("reconciler.cli.validate:validate", "Check specs without touching the world."),
    "plan": ("reconciler.cli.plan:plan", "Show what would change and why."),
    "apply": ("reconciler.cli.apply:apply", "Make the world match the specs."),
    "serve": ("reconciler.cli.serve:serve", "Go on for ever from a branch."),
    "install": ("reconciler.cli.install:install", "Have a cluster run `serve`."),
    "destroy": ("reconciler.cli.apply:destroy", "Take down a service that the specs no longer declare; its volumes are kept."),
    "unlock": ("reconciler.cli.unlock:unlock", "Take the lock away from a run that is known to be dead."),
    "fence": ("reconciler.cli.fence:fence", "End a node that does not answer, so that its members can move."),
    "status": ("reconciler.cli.show:status", "Say how each service stands: synced, ready, configured."),
    "members": ("reconciler.cli.show:members", "List the members of services, and where they run."),
    "volumes": ("reconciler.cli.show:volumes", "List volumes: bound, retained, orphaned."),
    "snapshots": ("reconciler.cli.show:snapshots", "List the snapshots of services, and how old they are."),
    "history": ("reconciler.cli.show:history", "List what was applied."),
    "explain": ("reconciler.cli.explain:explain", "Say why one resource is as it is."),
    "components": ("reconciler.cli.components:components", "Components and what is configured on them."),
    "configurations": ("reconciler.cli.components:configurations", "Configurations and how far they are."),
    "sessions": ("reconciler.cli.components:sessions", "Ansible sessions and their logs."),
    "catalog": ("reconciler.cli.show:catalog", "List service types and their level."),
    "policies": ("reconciler.cli.policies:policies", "Print what each role may do in AWS and Kubernetes."),
    "schema": ("reconciler.cli.show:schema", "Write the JSON Schemas of the documents."),
    "lab": ("lab.cli:lab", "AWS and Kubernetes on this machine."),
    "demo": ("lab.demo:demo", "The main job from nothing, in a lab."),
}


_RARELY = (100_000, 20, 50)  # what a plan makes it keeps to its end: looking for cycles among it as often as usual is a tenth of its time


class _Lazy(click.Group):
    """A group that knows its commands by name and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="reconciler", prog_name="reconcile")
def cli() -> None:
    """Make AWS, Kubernetes and the configuration of nodes match the YAML specs of a git commit."""


def main(arguments: list[str] | None = None) -> Any:
    """Run and exit: wrong usage is 1 here, not click's 2, since 2 says that there is something to do."""
    from reconciler.cli import ending  # noqa: PLC0415 - not for --help

    gc.set_threshold(*_RARELY)
    return ending.run(cli, arguments)
