"""What a member, or a service, has or lacks, as the commands show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Type: TypeAlias = Literal[
    "ZoneHasNode",
    "OldOwnerReleased",
    "SlotFree",
    "AddressBound",
    "VolumeReady",
    "NameResolves",
    "AppReady",
    "ConfigInSync",
    "DependenciesReady",  # from here on of a service
    "Initialised",
    "AuthEnforced",
    "Progressing",
    "SnapshotRecent",
]
Status: TypeAlias = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One of them. *message* says what is waited for while it is False; *since* is ISO 8601, "" where the cluster does not tell."""

    type: Type
    status: Status
    reason: str
    message: str = ""
    since: str = ""
