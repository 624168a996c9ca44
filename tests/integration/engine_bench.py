"""The product's own adapter of the engine over the real engine, with the lab's `aws` plugin and a quick AWS of its own; no cluster."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest

from lab import lifecycle, plugins, tool
from lab.error import LabError
from providers import checkpoints
from providers.pulumi import Pulumi, Settings, process_environment
from reconciler import kinds
from reconciler.model.address import ResourceId
from reconciler.model.change import Action, Change
from reconciler.model.origin import Revision
from reconciler.model.resource import Resource
from reconciler.ports import StackResult, StackRun
from tests.contract.conftest import client, serving

REVISION = Revision("c" * 40, "t" * 40, "lab")
QUICK = {"creating": 0.1, "deleting": 0.1, "modifying": 0.1, "optimizing": 0.1, "throttle": False}


def volume(member: str, *, size: str = "1Gi", needs: tuple[ResourceId, ...] = (), **more: Any) -> Resource:
    """A declared volume of the stack `kv`."""
    id = ResourceId("volume", "lab", "kv", f"{member}/data")
    tags = {"reconciler/environment": "lab", "reconciler/service": "kv", "reconciler/address": str(id), **more.pop("tags", {})}
    fields = {"zone": "us-east-1a", "size": size, "type": "gp3", "encrypted": False, "tags": tags, **more}
    return Resource(id, fields, "kv", frozenset(needs))


@dataclass
class Bench:
    """One engine and one account. *said* is all that was told of progress."""

    folder: Path
    endpoint: str
    ec2: Any
    said: list[tuple[str, str, str]] = field(default_factory=list)
    more: Mapping[str, str] = field(default_factory=dict)  # for the engine's environment

    @property
    def engine(self) -> Pulumi:
        """The adapter, made anew: nothing of an earlier call is left in it."""
        environment = {**process_environment("a-token"), "PULUMI_HOME": str(self.folder / "home"), **self.more}
        environment["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "1"
        return Pulumi(Settings(self.backend, self.folder / "work", environment), kinds.kinds(), self._providers)

    @property
    def backend(self) -> str:
        return f"file://{self.folder}/engine"

    @property
    def record(self) -> checkpoints.Checkpoints:
        return checkpoints.Checkpoints(self.backend)

    def up(self, resources: tuple[Resource, ...], changes: Mapping[ResourceId, Action] | None = None, **more: Any) -> StackResult:
        """Apply a plan that says *changes* of *resources* (create, of those that it does not name)."""
        actions: dict[ResourceId, Action] = {**{one.id: "create" for one in resources}, **(changes or {})}
        live = more.pop("live", {})
        planned = tuple(Change(id, action, "engine", "", "kv", live_id=live.get(id, "")) for id, action in actions.items())
        return self.engine.up(StackRun(REVISION, "kv", resources, planned, **more), lambda *step: self.said.append(step))

    def volumes(self) -> dict[str, dict[str, Any]]:
        """What is live, by the address in its tags."""
        found = [one for one in self.ec2.describe_volumes()["Volumes"] if one["State"] not in {"deleting", "deleted"}]
        return {tag["Value"]: one for one in found for tag in one.get("Tags", ()) if tag["Key"] == "reconciler/address"}

    def _providers(self) -> Mapping[str, pulumi.ProviderResource]:
        import pulumi_aws as aws  # noqa: PLC0415 - in a program only

        at: Any = {"ec2": self.endpoint, "route53": self.endpoint, "sts": self.endpoint}
        keys = {"access_key": "AKIAMADEUP", "secret_key": "made-up", "region": "us-east-1"}
        skips = dict.fromkeys(("skip_credentials_validation", "skip_metadata_api_check", "skip_requesting_account_id"), True)
        return {"aws": aws.Provider("aws", endpoints=[at], **keys, **skips)}


@contextmanager
def bench(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench in *folder*."""
    try:
        lifecycle.require()
    except LabError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    plugins.install(folder / "plugins", sys.executable)
    monkeypatch.setenv("PATH", f"{folder / 'plugins'}:{tool.path()}")
    with serving(folder / "aws", QUICK) as endpoint, client("ec2", endpoint) as ec2:
        yield Bench(folder, endpoint, ec2)
    assert not [found for found in gc.get_objects() if isinstance(found, asyncio.BaseEventLoop) and not found.is_closed()]
