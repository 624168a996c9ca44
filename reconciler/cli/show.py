"""The commands that only look: status, members, volumes, snapshots, history, catalog, schema."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler import bootstrap, errors, kinds, standing
from reconciler.cli import table
from reconciler.cli.options import Common, common
from reconciler.members.conditions import seconds
from reconciler.model.duration import age
from reconciler.render import shapes

if TYPE_CHECKING:
    from reconciler.members.listing import Row
    from reconciler.model import condition

_REFRESH = 2.0  # seconds between two looks of --watch


@click.command()
@click.option("--service", "services", multiple=True, help="Only this service (may be given again).")
@click.option("--watch", is_flag=True, help="Look again every two seconds.")
@common()
def status(options: Common, services: tuple[str, ...], watch: bool) -> None:
    """Say how each service stands: Synced (pushed, and still so), Ready (it works), Configured (its components are)."""
    while True:
        rows = [row for environment in options.environments() for row in _standings(environment, options, frozenset(services))]
        if watch and options.form == "text":
            click.clear()
        table.show(rows, ("service", "synced", "ready", "configured", "reason", "age", "revision"), options.form, "no services")
        if not watch:
            return
        time.sleep(_REFRESH)


def _standings(environment: str, options: Common, only: frozenset[str]) -> Iterator[shapes.Service]:
    with bootstrap.home(environment) as home:
        world, desired = home.world(options.repo, options.ref)
        for row, since, found in standing.services(world, desired, only):
            now = home.clock.now()
            told = [_condition(one, seconds(one, now) if one.since else None) for one in found]
            yield {**row, "age": age(now - since) if since else "", "conditions": told}


@click.command()
@click.option("--service", "services", multiple=True, help="Only this service (may be given again).")
@common()
def members(options: Common, services: tuple[str, ...]) -> None:
    """List the members of services: where each runs, its name and address, and why it is not ready."""
    rows: list[shapes.Member] = []
    for environment in options.environments():
        with bootstrap.home(environment) as home:
            desired = home.world(options.repo, options.ref)[1]
            rows += [_member(row) for row in home.member_rows(desired) if not services or row.service in services]
    columns = ("member", "zone", "node", "address", "record", "phase", "ready", "reason", "age")
    table.show(rows, columns, options.form, "no members")


def _member(row: Row) -> shapes.Member:
    return {
        "service": row.service,
        "member": row.member,
        "zone": row.zone,
        "node": row.node,
        "address": row.address,
        "record": row.record,
        "phase": row.phase,
        "ready": row.ready,
        "reason": row.reason,
        "age": "" if row.age is None else age(row.age),
        "conditions": [_condition(one, seconds) for one, seconds in row.conditions],
    }


def _condition(one: condition.Condition, seconds: float | None) -> shapes.Condition:
    return {
        "type": one.type,
        "status": one.status,
        "reason": one.reason,
        "message": one.message,
        "since": one.since,
        "age": "" if seconds is None else age(seconds),
    }


@click.command()
@common()
def volumes(options: Common) -> None:
    """List volumes: bound to a member, retained after their service went, or orphaned."""
    rows = [row for environment in options.environments() for row in _volumes(environment, options)]
    table.show(rows, ("id", "service", "member", "name", "size", "zone", "state"), options.form, "no volumes")


def _volumes(environment: str, options: Common) -> list[shapes.Volume]:
    with bootstrap.home(environment) as home:
        world, desired = home.world(options.repo, options.ref)
        return list(standing.volumes(world.observe(), desired))


@click.command()
@click.option("--service", "services", multiple=True, help="Only this service (may be given again).")
@common()
def snapshots(options: Common, services: tuple[str, ...]) -> None:
    """List the snapshots of services, also of those that are gone: a line for all that were taken at one time."""
    rows = [
        row
        for environment in options.environments()
        for row in _snapshots(environment, options)
        if not services or row["service"] in services
    ]
    shown = rows if options.form == "json" else [{**row, "volumes": f"{len(row['volumes'])} of {row['of']}"} for row in rows]
    table.show(shown, ("service", "slot", "taken", "age", "state", "volumes"), options.form, "no snapshots")


def _snapshots(environment: str, options: Common) -> Iterator[shapes.SnapshotSet]:
    with bootstrap.home(environment) as home:
        known = home.world(options.repo, options.ref)[0].snapshots()
        if known.unread:
            raise errors.ProviderError(known.unread)
        for row, taken in standing.snapshots(known):
            yield {**row, "age": age(max(0.0, home.clock.now() - taken.timestamp()))}


@click.command()
@click.option("--limit", default=20, show_default=True)
@common()
def history(options: Common, limit: int) -> None:
    """List what was applied, newest first."""
    rows = [row for environment in options.environments() for row in _history(environment, options, limit)]
    shown = rows if options.form == "json" else [{**row, "summary": _counts(row["summary"])} for row in rows]
    table.show(shown, ("time", "environment", "action", "revision", "summary", "result"), options.form, "nothing was applied yet")


def _counts(summary: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in summary.items() if word != "keep")


def _history(environment: str, options: Common, limit: int) -> Iterator[shapes.Applied]:
    with bootstrap.home(environment) as home:
        world = home.world(options.repo, options.ref)[0]
        for entry in world.history.entries(environment, limit):
            yield {
                "time": datetime.fromtimestamp(entry["time"], UTC).isoformat(timespec="seconds"),
                "environment": environment,
                "action": entry["action"],
                "revision": entry["commit"][:7],
                "summary": entry["summary"],
                "result": entry["result"],
            }


@click.command()
@common()
def catalog(options: Common) -> None:
    """List service types, their level (full or rendered) and their versions."""
    rows: list[shapes.ServiceType] = [
        {"type": kind.name, "level": kind.level, "version": kind.default_version, "versions": list(kind.versions), "package": kind.origin}
        for kind in kinds.service_types().values()
    ]
    table.show(rows, ("type", "level", "version"), options.form, "no types")


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write a file a schema into this folder.")
@common()
def schema(options: Common, out: Path | None) -> None:  # noqa: ARG001
    """Print the JSON Schemas of the documents, or write them into a folder for an editor; below `out` those of what commands print."""
    from reconciler.render import schema as printed  # noqa: PLC0415
    from reconciler.specs import schema as written  # noqa: PLC0415

    documents = {**written.schemas(), **{f"out/{name}": one for name, one in printed.schemas().items()}}
    if out is None:
        click.echo(json.dumps(documents, indent=1))
        return
    (out / "out").mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        (out / name).write_text(json.dumps(document, indent=1) + "\n")
