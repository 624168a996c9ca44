"""A configuration whose branches have become commits, and the signatures by which applied and desired layers are compared."""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple, dataclass
from typing import Any

from reconciler.model.work import Clone, WorkLayer


@dataclass(frozen=True, slots=True)
class Resolved:
    """A configuration at commits. *declared* is the digest of what git said when they were looked up: another one asks anew.

    A layer whose commit is "" could not be looked up yet; nothing is run before it has been.
    """

    name: str
    declared: str
    layers: tuple[WorkLayer, ...]
    inventory: Clone | None = None

    @property
    def whole(self) -> bool:
        return all(layer.clone.commit for layer in self.layers) and (self.inventory is None or bool(self.inventory.commit))


def digest(value: Any) -> str:
    """A short hash of anything that JSON can say."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def signatures(configuration: Resolved, inputs: str) -> tuple[str, ...]:
    """Of each layer: URL, playbook, commit, the additional inventory and *inputs*, the digest of the component's groups and variables."""
    inventory = astuple(configuration.inventory)[:2] if configuration.inventory else ()
    return tuple(
        digest([layer.clone.clone_url, layer.playbook, layer.clone.commit, inventory, inputs])
        if layer.clone.commit and (configuration.inventory is None or configuration.inventory.commit)
        else ""
        for layer in configuration.layers
    )
