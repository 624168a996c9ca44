"""`reconcile install`: a cluster that runs `serve`."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

import click
from ruamel.yaml import YAML

from reconciler import errors, loop, reading, version
from reconciler import install as installing
from reconciler import plan as planning
from reconciler.cli import apply as applying
from reconciler.cli import faults
from reconciler.cli.options import Common, common, seconds
from reconciler.install import Site
from reconciler.loop import Prepared
from reconciler.model import quantity
from reconciler.model.desired import Desired
from reconciler.render import text
from reconciler.resources import installed
from reconciler.resources.installed_pod import DEFAULTS, SETTINGS, Choices

IMAGE = f"reconciler/reconciler:{version.VERSION}"
_URL = re.compile(r"[a-z][a-z+]*://\S+|[^/\s]+@[^/:\s]+:\S+")


@click.command()
@click.option("--url", default="", help="Where the Pod reads the repository.", show_default="where --repo comes from")
@click.option("--image", default=IMAGE, help="What it runs.", show_default=True)
@click.option("--interval", default="10s", help="How often it looks at the branch.", show_default=True)
@click.option("--storage", default="10Gi", help="How much it may remember: its store and the engine's record.", show_default=True)
@click.option("--storage-class", default="", help="Of the claim for that.", show_default="the cluster's default")
@click.option("--role-arn", default="", help="The IAM role of its service account (EKS).")
@click.option("--git-secret", default="", help="A Secret for git: username and password, or ssh-privatekey and known_hosts.")
@click.option("--settings-secret", default="", help=f"A Secret with {DEFAULTS}, and files that this names; seen at {SETTINGS}.")
@click.option("--kubeconfig", default="", help="Whose rights make it.", show_default="the environment's `kubernetes`")
@click.option("--context", default="", help="The same.")
@click.option("--print", "only_print", is_flag=True, help="Print what it would be, ask no cluster, and make nothing.")
@click.option("--auto-approve", is_flag=True, help="Make what is planned without asking.")
@click.option("--timeout", default="5m", help="How long to wait until its Pod is ready.", show_default=True)
@click.option("--no-wait", is_flag=True, help="Return once it is made.")
@common(("text",))
def install(
    options: Common,
    only_print: bool,
    auto_approve: bool,
    timeout: str,
    no_wait: bool,
    kubeconfig: str,
    context: str,
    **chosen: str,
) -> int:
    """Have a cluster run `serve` for one environment. Like `apply`, it plans, shows and asks; again later, it changes what differs."""
    environment = options.only()
    declared = reading.load(options.repo, options.ref, environment)
    faults.tell(declared)
    desired = installing.desired(declared.environment, declared.revision, _choices(options, chosen), kubeconfig, context)
    if only_print:
        _print(desired)
        return 0
    how = loop.Options(timeout=seconds("--timeout", timeout), wait=not no_wait)
    with installing.site(environment) as site:
        code = _install(site, desired, how, asks=not auto_approve)
    at = installed.place(declared.environment)
    if code == 0 and not declared.environment.api:
        click.echo(f"For `apply` to hand over to it: `api: kubernetes://{at.namespace}/{at.name}` in {declared.environment.origin}.")
    return code


def _print(desired: Desired) -> None:
    """Every object as YAML, in an order in which it can be made."""
    written = YAML(typ="safe")
    written.default_flow_style = False
    written.dump_all([one.fields for one in desired.resources.values()], sys.stdout)


def _install(site: Site, desired: Desired, how: loop.Options, *, asks: bool) -> int:
    world = site.ready(desired)
    with site.interruptible(), site.lock() as site.lease:
        seen = loop.settle(world, desired.environment.name, applying.note)
        prepared = loop.prepare(world, desired, seen=seen)
        click.echo(text.render(prepared.plan), nl=False)
        _require_read(prepared)
        planning.guard(prepared.plan, desired.environment.guard, None)
        if prepared.plan.acting and asks:
            prepared = applying.asked(prepared, lambda: loop.prepare(world, desired, seen=seen), site)
        return applying.ended(site, applying.carry_out(world, prepared, how, "install"))


def _require_read(prepared: Prepared) -> None:
    """Raise UsageError where whoever installs may not even look: half of it would be of no use."""
    for why in prepared.observed.unread.values():
        hint = "--kubeconfig or --context of somebody who may make Deployments and ClusterRoles"
        raise errors.UsageError(f"what is there could not be read: {why}", hint=hint)


def _choices(options: Common, chosen: Mapping[str, str]) -> Choices:
    """What was chosen, checked as far as it can be from here."""
    url = chosen["url"] or reading.specs(options.repo, options.ref).base_url
    if not _URL.fullmatch(url):
        raise errors.UsageError(f"a Pod cannot read {url}, which is a path of this machine", hint="name the repository's URL with --url")
    if urlsplit(url).password or (url.startswith("http") and urlsplit(url).username):
        raise errors.UsageError("the repository's URL has credentials in it", hint="keep them in a Secret: --git-secret")
    seconds("--interval", chosen["interval"])
    try:
        quantity.Quantity.parse(chosen["storage"])
    except ValueError as error:
        raise errors.UsageError(f"--storage {chosen['storage']}: {error}", hint="for example 10Gi") from error
    return Choices(**{**chosen, "url": url}, ref=options.ref or "")
