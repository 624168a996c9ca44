"""What git declares in the model, and what has to be there for it: written down anew, asked of nothing in the product. Values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from reconciler.model.desired import Desired
from reconciler.model.origin import Revision
from reconciler.specs import load
from tests.memory_world import SUBNETS, TYPES, ZONES

DNS = "db.internal"
TEAM = "storage"

WRITTEN = ("generic", "redis", "zookeeper")  # the types whose documents a town can write


@dataclass(frozen=True)
class Service:
    """One Service document. *file* is where it lies; a *broken* one does not parse as what it should be."""

    name: str
    type: str
    replicas: int
    size: int
    zones: tuple[str, ...] = ZONES
    addresses: str = "none"
    option: int = 64
    stopped: bool = False
    protect: bool = False
    broken: bool = False
    file: str = ""

    @property
    def members(self) -> tuple[str, ...]:
        return tuple(f"{self.name}-{number}" for number in range(self.replicas))

    @property
    def path(self) -> str:
        return f"specs/lab/services/{self.file or self.name}.yaml"

    def volume(self, member: str) -> str:
        """The address of a member's volume."""
        return f"volume/lab/{self.name}/{member}/data"

    def document(self) -> str:
        spec: dict[str, Any] = {
            "type": self.type,
            "replicas": self.replicas,
            "volumes": {"data": {"size": f"{self.size}Gi"}},
            "zones": list(self.zones),
            "addresses": self.addresses,
            "stopped": self.stopped,
            "protect": self.protect,
            **self._program(),
        }
        if self.broken:
            spec["replicas"] = "many"
        return json.dumps({"apiVersion": "reconciler/v1", "kind": "Service", "metadata": {"name": self.name}, "spec": spec}, indent=1)

    def _program(self) -> dict[str, Any]:
        match self.type:
            case "redis":
                return {"options": {"maxmemory": f"{self.option}Mi"}}
            case "postgresql":
                return {"options": {"maxConnections": self.option}}
            case "mongodb":
                return {"options": {"cacheSize": f"{256 + self.option}Mi"}}
            case "zookeeper":
                return {"options": {"heap": f"{self.option}Mi"}}
            case "kafka":
                return {"options": {"controllers": 1, "retention": f"{self.option}h"}}
            case _:
                container = {"name": "main", "image": "python:3.12", "env": [{"name": "OPTION", "value": str(self.option)}]}
                return {"options": {"mounts": {"data": "/data"}}, "podTemplate": {"spec": {"containers": [container]}}}


@dataclass(frozen=True)
class Town:
    """Everything that is declared, by the names of the services. A *shallow* repository may not tell all of it."""

    services: Mapping[str, Service] = field(default_factory=dict)
    ttl: int = 5
    shallow: bool = False

    def put(self, service: Service) -> Town:
        return replace(self, services={**self.services, service.name: service})

    def without(self, name: str) -> Town:
        return replace(self, services={key: one for key, one in self.services.items() if key != name})

    @cached_property
    def texts(self) -> dict[str, str]:
        return {"specs/lab/environment.yaml": self._environment(), **{one.path: one.document() for one in self.services.values()}}

    def desired(self) -> Desired:
        """As the product loads it; SpecError where it will not."""
        tree = hashlib.sha1(json.dumps(self.texts, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
        texts = {path: text.encode() for path, text in self.texts.items()}
        lost = "the repository is shallow" if self.shallow else ""
        return load.load(texts, Revision(tree, tree, "lab"), TYPES, base_url="https://example.org/config.git", lost=lost)

    def members(self) -> Iterator[tuple[Service, str]]:
        return ((service, member) for service in self.services.values() for member in service.members)

    def _environment(self) -> str:
        spec = {
            "zones": list(ZONES),
            "aws": {"vpc": "vpc-1", "subnets": SUBNETS, "tags": {"team": TEAM}},
            "dns": {"zone": DNS, "ttl": f"{self.ttl}s"},
        }
        return json.dumps({"apiVersion": "reconciler/v1", "kind": "Environment", "metadata": {"name": "lab"}, "spec": spec}, indent=1)


def fqdn(member: str) -> str:
    return f"{member}.{DNS}"
