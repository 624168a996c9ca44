"""The inline program of a stack: every declared resource through its kind, references between them as the engine's outputs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from graphlib import TopologicalSorter
from typing import Any

import pulumi
from pulumi.runtime import resource as registration
from pulumi.runtime.proto import source_pb2

from reconciler.diff import removal
from reconciler.kinds import Kind
from reconciler.model.address import ResourceId
from reconciler.model.resource import Resource
from reconciler.model.value import Ref, Value
from reconciler.ports import StackRun

Providers = Callable[[], Mapping[str, pulumi.ProviderResource]]  # by package: "aws", "kubernetes"
_one_at_a_time = threading.Lock()

# The SDK would put the Python stack of every registration into the engine's record: two thirds of it, and paths of this machine.
registration._get_stack_trace = source_pb2.StackTrace  # noqa: SLF001 - there is no setting for it


@dataclass(slots=True)
class Program:
    """Registers the resources of *run*. *attributes* is filled with what the engine has learned of them, by id.

    One that only *previews* may refer to what another stack has yet to make: that is unknown to it.
    """

    run: StackRun
    kinds: Mapping[str, Kind]
    providers: Providers
    attributes: dict[ResourceId, dict[str, str]] = field(default_factory=dict)
    previews: bool = False

    def __call__(self) -> None:
        """Register everything. One program at a time: the SDK loads its modules when they are first touched, and no two threads may."""
        with _one_at_a_time:
            self._register()

    def _register(self) -> None:
        providers = self.providers() if self.run.resources else {}
        outputs: dict[ResourceId, Mapping[str, Any]] = {}
        adopted = {change.id: change.live_id for change in self.run.changes if change.action in {"adopt", "move"}}
        declared = {resource.id: resource for resource in self.run.resources}
        made: dict[ResourceId, Any] = {}
        for id in in_order(declared):
            resource = declared[id]
            options = pulumi.ResourceOptions(
                provider=providers["kubernetes" if id.kind == "kubernetes" else "aws"],
                depends_on=[made[need] for need in sorted(resource.needs) if need in made],
                import_=adopted.get(id),
                retain_on_delete=removal.of(id) == "retain",
                protect=resource.protected,
            )
            fields = self._filled(resource.fields, outputs)
            if id in self.run.foreign:
                fields["tags"] = {**self.run.foreign[id], **fields["tags"]}
            outputs[id] = self.kinds[id.kind].declare(resource, fields, options)
            made[id] = outputs[id][""]
            self._remember(id, outputs[id])

    def _filled(self, value: Value, outputs: Mapping[ResourceId, Mapping[str, Any]]) -> Any:
        match value:
            case Ref(id, attribute):
                return outputs[id][attribute] if id in outputs else self._known(id, attribute)
            case Mapping():
                return {name: self._filled(item, outputs) for name, item in value.items()}
            case list() | tuple():
                return [self._filled(item, outputs) for item in value]
            case _:
                return value

    def _known(self, id: ResourceId, attribute: str) -> Any:
        """What is known of another stack's thing."""
        if self.previews and attribute not in self.run.attributes.get(id, {}):
            return _unknown()
        return self.run.attributes[id][attribute]

    def _remember(self, id: ResourceId, outputs: Mapping[str, Any]) -> None:
        for name, output in outputs.items():
            if name:
                pulumi.Output.from_input(output).apply(partial(self.attributes.setdefault(id, {}).__setitem__, name))


def _unknown() -> pulumi.Output[Any]:
    """A value that will be known once it is applied."""
    resources: asyncio.Future[set[pulumi.Resource]] = asyncio.Future()
    value: asyncio.Future[Any] = asyncio.Future()
    known: asyncio.Future[bool] = asyncio.Future()
    resources.set_result(set())
    value.set_result(None)
    known.set_result(False)
    return pulumi.Output(resources, value, known)


def in_order(declared: Mapping[ResourceId, Resource]) -> list[ResourceId]:
    """The ids of a stack, each after what it needs of the same stack."""
    graph = {id: sorted(need for need in resource.needs if need in declared) for id, resource in sorted(declared.items())}
    return list(TopologicalSorter(graph).static_order())
