"""What this machine knows of an environment: fields its document may leave out, and where its files are kept."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler import errors
from reconciler.model.environment import Environment

DEFAULTS = "defaults.json"


@dataclass(frozen=True, slots=True)
class Local:
    """Fields that an Environment document leaves out (*spec*), and what the processes that act for it are started with."""

    folder: Path
    spec: Mapping[str, Any] = field(default_factory=dict)
    process: Mapping[str, str] = field(default_factory=dict)
    first: tuple[str, ...] = ()  # before this process's own PATH
    last: tuple[str, ...] = ()  # after it

    @property
    def path(self) -> str:
        """PATH of the processes that act for the environment; no longer for having been made before."""
        return os.pathsep.join(dict.fromkeys((*self.first, *os.environ.get("PATH", os.defpath).split(os.pathsep), *self.last)))


def read(environment: str) -> Local:
    """The folder of *environment* under RECONCILE_DIR (`.reconcile` of the working directory), and the defaults in it, if any.

    RECONCILE_DEFAULTS names them where they lie elsewhere, as in a Pod; there they have to be.
    """
    folder, named = root() / environment, os.environ.get("RECONCILE_DEFAULTS")
    source = Path(named) if named else folder / DEFAULTS
    try:
        document = json.loads(source.read_text())
        path = document.get("path", {})
        return Local(
            folder, document.get("spec", {}), document.get("process", {}), tuple(path.get("first", ())), tuple(path.get("last", ()))
        )
    except FileNotFoundError as error:
        if named:
            raise errors.UsageError(f"RECONCILE_DEFAULTS names {source}, which is not there", hint="name another file, or none") from error
        return Local(folder)
    except (ValueError, AttributeError, TypeError) as error:
        hint = "mend what RECONCILE_DEFAULTS names" if named else "bring the lab up again"
        raise errors.UsageError(f"{source} cannot be read: {error}", hint=hint) from error


def settled(environment: Environment, here: Local) -> Environment:
    """*environment* with what it leaves out filled from *here*. Sections that it declares keep every field that it gives."""
    declared = environment.model_dump(by_alias=True, exclude_unset=True)
    merged = _merged(here.spec, {name: value for name, value in declared.items() if name != "origin"})
    whole = Environment.model_validate({**merged, "origin": environment.origin}, by_alias=True, by_name=True)
    return whole.placed(environment.locate)


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for name, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def root() -> Path:
    """Where this machine keeps what it knows: RECONCILE_DIR, else `.reconcile` of the working directory."""
    return Path(os.environ.get("RECONCILE_DIR", ".reconcile")).absolute()
