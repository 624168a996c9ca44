"""The engine's own record on a file backend: which resources a stack holds, what was in flight when a run died, and its locks.

Read without the engine's SDK, whose import alone takes half a second.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reconciler import errors
from reconciler.model import address
from reconciler.model.address import SHARED, ResourceId

PROJECT = "reconciler"


class Checkpoints:
    """Reads `<backend>/.pulumi`; but for locks of dead runs, everything that changes it goes through the engine."""

    def __init__(self, backend: str) -> None:
        parts = urlsplit(backend)
        if parts.scheme != "file":
            raise errors.UsageError(f"engine.backend {backend} is no file:// address", hint="other backends come in a later release")
        self.root = Path(parts.netloc + parts.path).expanduser().absolute() / ".pulumi"

    def stacks(self, environment: str) -> Mapping[str, frozenset[ResourceId]]:
        """What the engine's state holds, by stack; what is live but not in it was left by a crash."""
        return {stack: held(self.deployment(name)) for name, stack in self._names(environment)}

    def pending(self, environment: str) -> frozenset[ResourceId]:
        """What was being made when an earlier run died: it may still turn up."""
        found = (pending(self.deployment(name)) for name, _ in self._names(environment))
        return frozenset().union(*found)

    def _names(self, environment: str) -> Iterator[tuple[str, str]]:
        """Every stack of *environment*: its name in the engine and the stack it stands for."""
        folder = self.root / "stacks" / PROJECT
        for path in sorted(folder.glob(f"{environment}.*.json")):
            yield path.stem, _stack(path.stem.removeprefix(f"{environment}."))

    def deployment(self, name: str) -> Mapping[str, Any]:
        """The last deployment recorded for stack *name*; empty where there is none. A broken record is a ProviderError naming the file."""
        path = self.root / "stacks" / PROJECT / f"{name}.json"
        try:
            document = json.loads(path.read_text())
            return (document.get("checkpoint") or {}).get("latest") or {}
        except FileNotFoundError:
            return {}
        except ValueError as error:
            hint = f"put back {path}.bak, or move the file away: what is live will then be imported"
            raise errors.ProviderError(f"the engine's state {path} cannot be read: {error}", hint=hint) from error

    def exists(self, name: str) -> bool:
        return (self.root / "stacks" / PROJECT / f"{name}.json").exists()

    def left(self, environment: str) -> tuple[str, ...]:
        """The stacks, as the engine calls them, where a dead run left a lock or operations whose end nobody knows."""
        locked = {path.parent.name for path in self._locks.glob(f"{environment}.*/*.json")}
        return tuple(sorted(locked | {name for name, _ in self._names(environment) if pending(self.deployment(name))}))

    def unlock(self, name: str) -> None:
        """Remove the engine's locks on stack *name*, as `pulumi cancel` does, but also where the stack was never made."""
        for path in self._locks.glob(f"{name}/*.json"):
            path.unlink(missing_ok=True)

    @property
    def _locks(self) -> Path:
        return self.root / "locks" / "organization" / PROJECT


def name(environment: str, stack: str) -> str:
    """What the engine calls a stack: `lab.kv`; what services share is `lab.shared_`, since no service's name ends so."""
    return f"{environment}.{'shared_' if stack == SHARED else stack}"


def _stack(tail: str) -> str:
    return SHARED if tail == "shared_" else tail


def ours(urn: str) -> bool:
    """Whether *urn* is a declared thing: neither the stack itself nor a provider."""
    return "::pulumi:" not in urn


def logical(urn: str) -> str:
    """The logical name of *urn*: the address that it was declared under."""
    return urn.split("::", 3)[-1]


def held(deployment: Mapping[str, Any]) -> frozenset[ResourceId]:
    """The addresses that *deployment* holds."""
    return frozenset(_ids(resource["urn"] for resource in deployment.get("resources") or ()))


def pending(deployment: Mapping[str, Any]) -> frozenset[ResourceId]:
    """The addresses that were being made when the run that wrote *deployment* died."""
    operations = deployment.get("pending_operations") or ()
    return frozenset(_ids(operation["resource"]["urn"] for operation in operations))


def _ids(urns: Iterator[str]) -> Iterator[ResourceId]:
    for urn in urns:
        if ours(urn):
            yield address.parse(logical(urn))
