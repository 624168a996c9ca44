"""The options that commands share, and what they resolve to: environments, specs, worlds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Common:
    """What every command is told."""

    environment: str
    repo: str
    ref: str | None
    form: str
    color: bool

    def environments(self) -> tuple[str, ...]:
        """The environment that was asked for, else all of the repository."""
        from reconciler import errors, reading  # noqa: PLC0415 - not for --help

        found = reading.environments(self.repo, self.ref)
        if not self.environment:
            return found
        if self.environment not in found:
            hint = f"it has {', '.join(found)}" if found else "specs/<environment>/environment.yaml makes one"
            raise errors.UsageError(f"{self.repo} declares no environment {self.environment}", hint=hint)
        return (self.environment,)

    def only(self) -> str:
        """The one environment that a command acts on; UsageError where the choice is open."""
        from reconciler import errors  # noqa: PLC0415

        found = self.environments()
        if len(found) != 1:
            raise errors.UsageError(f"{self.repo} has the environments {', '.join(found)}", hint="choose one with -e")
        return found[0]

    def each(self) -> Iterator[str]:
        yield from self.environments()


def common(formats: tuple[str, ...] = ("text", "json")) -> Callable[[F], F]:
    """Add the shared options to a command, which takes them as one `Common`."""

    def decorate(command: F) -> F:
        @wraps(command)
        def wrapped(
            environment: str,
            repo: str,
            ref: str | None,
            form: str,
            debug: bool,
            no_color: bool,
            **others: Any,
        ) -> Any:
            if debug:
                os.environ["RECONCILE_DEBUG"] = "1"
            color = not no_color and not os.environ.get("NO_COLOR")
            return command(Common(environment, repo, ref, form, color), **others)

        for option in (
            click.option("-e", "--environment", default="", envvar="RECONCILE_ENVIRONMENT", help="The environment. Default: all."),
            click.option("--repo", default=".", envvar="RECONCILE_REPO", help="Config repository: a path or a URL.", show_default="here"),
            click.option("--ref", default=None, help="Commit, tag or branch. Default: the working tree; of a bare repository, its HEAD."),
            click.option("--format", "form", type=click.Choice(formats), default="text"),
            click.option("--debug", is_flag=True, help="Show tracebacks and the engine's own words."),
            click.option("--no-color", is_flag=True),
        ):
            wrapped = option(wrapped)
        return wrapped  # type: ignore[return-value]

    return decorate


def seconds(option: str, text: str) -> float:
    """What *option* says in seconds; UsageError where *text* is no duration."""
    from reconciler import errors  # noqa: PLC0415 - not for --help
    from reconciler.model.duration import Duration  # noqa: PLC0415

    try:
        return float(Duration.parse(text).seconds)
    except ValueError as error:
        raise errors.UsageError(f"{option} {text}: {error}", hint="for example 90s, 15m or 1h") from error
