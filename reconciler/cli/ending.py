"""How a command ends: exit codes, and errors in words. A traceback only with --debug."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import click

from reconciler import errors

FAILED, PENDING, LOCKED, STALE, REFUSED, PARTLY, INTERRUPTED = 1, 2, 3, 4, 5, 6, 130
_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (errors.LockHeld, LOCKED),
    (errors.StalePlan, STALE),
    (errors.UnsafePlanError, REFUSED),
    (errors.Interrupted, INTERRUPTED),
    (KeyboardInterrupt, INTERRUPTED),
)


def run(command: click.Command, arguments: list[str] | None) -> NoReturn:
    """Run *command* and exit with its code."""
    try:
        code = command.main(arguments, prog_name="reconcile", standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(FAILED)
    except (errors.ReconcilerError, click.Abort, KeyboardInterrupt) as error:
        sys.exit(tell(error))
    except Exception as error:  # noqa: BLE001 - the last line of defence: a fault of ours, told in one line
        sys.exit(_unexpected(error))
    sys.exit(code if isinstance(code, int) else 0)


def _unexpected(error: Exception) -> int:
    if os.environ.get("RECONCILE_DEBUG"):
        traceback.print_exception(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    click.echo(f"error: {type(error).__name__}: {error} (at {Path(where.filename).name}:{where.lineno})", err=True)
    click.echo("hint: this is a fault of the program; --debug shows where, and it is safe to run again", err=True)
    return FAILED


def tell(error: BaseException) -> int:
    """Print *error* as `error:` and `hint:`; its exit code."""
    if os.environ.get("RECONCILE_DEBUG"):
        traceback.print_exception(error)
    message = getattr(error, "message", "") or ("interrupted; safe to run again" if not str(error) else str(error))
    click.echo(f"error: {message}", err=True)
    hint = getattr(error, "hint", "")
    if hint:
        click.echo(f"hint: {hint}", err=True)
    if isinstance(error, click.Abort):
        return INTERRUPTED
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
