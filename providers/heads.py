"""What a record of the engine tells of its resources, without what was declared of them and answered, which is nearly all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Required, TypedDict

import msgspec


class _Head(TypedDict, total=False):
    """What tells of a resource which it is and how it stands."""

    urn: Required[str]
    id: str
    created: str
    delete: bool
    pendingReplacement: bool


class _Operation(TypedDict, total=False):
    type: str
    resource: Required[_Head]


class _Latest(TypedDict, total=False):
    resources: list[_Head] | None
    pending_operations: list[_Operation] | None


class _Checkpoint(TypedDict, total=False):
    latest: _Latest | None


class _Document(TypedDict):
    checkpoint: _Checkpoint


_DECODER = msgspec.json.Decoder(_Document)


def read(content: bytes) -> Mapping[str, Any]:
    """The deployment in *content*, its resources' heads only; empty where it has none, ValueError where it is no checkpoint."""
    return _DECODER.decode(content)["checkpoint"].get("latest") or {}
