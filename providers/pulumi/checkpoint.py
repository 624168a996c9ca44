"""The engine's own record on a file backend: which resources a stack holds, what was in flight when a run died, and its locks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from providers.pulumi import events
from reconciler import errors
from reconciler.model import address
from reconciler.model.address import ResourceId

PROJECT = "reconciler"


class Checkpoints:
    """Reads `<backend>/.pulumi`; everything that changes it goes through the engine."""

    def __init__(self, backend: str) -> None:
        parts = urlsplit(backend)
        if parts.scheme != "file":
            raise errors.UsageError(f"engine.backend {backend} is no file:// address", hint="other backends come in a later release")
        self.root = Path(parts.netloc + parts.path).expanduser().absolute() / ".pulumi"

    def names(self, environment: str) -> Iterator[tuple[str, str]]:
        """Every stack of *environment*: its name in the engine and the stack it stands for."""
        folder = self.root / "stacks" / PROJECT
        for path in sorted(folder.glob(f"{environment}.*.json")):
            yield path.stem, path.stem.removeprefix(f"{environment}.")

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

    def locked(self, name: str) -> bool:
        return any((self.root / "locks" / "organization" / PROJECT / name).glob("*.json"))


def held(deployment: Mapping[str, Any]) -> frozenset[ResourceId]:
    """The addresses that *deployment* holds."""
    return frozenset(_ids(resource["urn"] for resource in deployment.get("resources") or ()))


def pending(deployment: Mapping[str, Any]) -> frozenset[ResourceId]:
    """The addresses that were being made when the run that wrote *deployment* died."""
    operations = deployment.get("pending_operations") or ()
    return frozenset(_ids(operation["resource"]["urn"] for operation in operations))


def _ids(urns: Iterator[str]) -> Iterator[ResourceId]:
    for urn in urns:
        if events.ours(urn):
            yield address.parse(events.address(urn))
