"""What the engine's state says was declared of each thing, in the words of specs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model import address
from reconciler.model.address import ResourceId
from reconciler.ports import Payload, Recall, Recorded

_SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105 - the key by which Pulumi's state marks a value that it has encrypted


def recorded(deployment: Mapping[str, Any], recall: Recall) -> dict[ResourceId, Recorded]:
    """Everything of ours that *deployment* holds."""
    return dict(_recorded(deployment, recall))


def _recorded(deployment: Mapping[str, Any], recall: Recall) -> Iterator[tuple[ResourceId, Recorded]]:
    for resource in deployment.get("resources") or ():
        if "::pulumi:" not in resource["urn"]:
            id = address.parse(resource["urn"].split("::", 3)[-1])
            yield id, Recorded(recall(id, _open(resource.get("inputs") or {})), bool(resource.get("protect")))


def _open(inputs: Payload) -> Payload:
    """*inputs* without what is encrypted: it cannot be compared, and nobody needs to read it."""
    return {name: _plain(value) for name, value in inputs.items() if not _is_secret(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _open(value)
    return [_plain(item) for item in value if not _is_secret(item)] if isinstance(value, list) else value


def _is_secret(value: Any) -> bool:
    return isinstance(value, Mapping) and _SECRET in value
