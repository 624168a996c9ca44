"""What one session does, as it is handed to the runner. Imports nothing but the standard library, so that the runner needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Clone:
    """A repository at a commit. *credentials* names the Secret to clone with, *credentials_key* its key ("": username and password).

    *ca* is the text of a certificate.
    """

    clone_url: str
    commit: str
    credentials: str = ""
    credentials_key: str = ""
    ca: str = ""


@dataclass(frozen=True, slots=True)
class WorkLayer:
    """One playbook of a clone; *index* is its place in the configuration."""

    index: int
    clone: Clone
    playbook: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """The layers to run, in order, against exactly *hosts* (variables by host), for at most *deadline* seconds.

    *record* is false for runs that are no proof of a configured host, such as one with `--tags`.
    """

    session: str
    layers: tuple[WorkLayer, ...]
    hosts: Mapping[str, Mapping[str, Any]]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inventory: Clone | None = None
    deadline: float = 3600.0
    user: str = ""
    verbosity: int = 0
    record: bool = True
    passthrough: tuple[str, ...] = ()

    @property
    def limit(self) -> tuple[str, ...]:
        return tuple(sorted(self.hosts))

    def text(self) -> str:
        """As JSON, the same for the same work."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def parse(text: str) -> Work:
    """The work that prints as *text*."""
    fields = json.loads(text)
    inventory = fields.pop("inventory")
    layers = tuple(WorkLayer(**{**layer, "clone": Clone(**layer["clone"])}) for layer in fields.pop("layers"))
    groups = {name: tuple(members) for name, members in fields.pop("groups").items()}
    passthrough = tuple(fields.pop("passthrough"))
    return Work(layers=layers, groups=groups, passthrough=passthrough, inventory=Clone(**inventory) if inventory else None, **fields)
