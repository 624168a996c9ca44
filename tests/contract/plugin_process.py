"""A provider plugin of the lab as the engine has it: a process started by its launcher, spoken to over gRPC."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from lab import plugins
from lab.plugins import properties
from lab.plugins.properties import Bag

NO_ENGINE = "127.0.0.1:1"


class PluginRefused(Exception):
    """What the plugin answered instead; *partial* is what it left behind, if anything."""

    def __init__(self, error: Any) -> None:
        super().__init__(error.details())
        self.partial: provider_pb2.ErrorResourceInitFailed | None = None
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                packed: any_pb2.Any = status_pb2.Status.FromString(value).details[0]
                self.partial = provider_pb2.ErrorResourceInitFailed()
                packed.Unpack(self.partial)


@dataclass
class Plugin:
    """The calls of the protocol in plain values."""

    stub: Any
    process: subprocess.Popen[str]
    refused: Any = field(default=grpc.RpcError)

    def configure(self, **settings: Any) -> None:
        self._ask("Configure", provider_pb2.ConfigureRequest(args=properties.encode(settings), acceptSecrets=True))

    def check(self, token: str, news: Mapping[str, Any], olds: Mapping[str, Any] | None = None, **more: Any) -> tuple[Bag, dict[str, str]]:
        """The checked inputs, and what is wrong with them by property."""
        secrets = more.pop("secrets", ())
        request = provider_pb2.CheckRequest(
            urn=urn(token), news=properties.encode(news, secrets), olds=properties.encode(olds or {}), **more
        )
        answer = self._ask("Check", request)
        return properties.decode(answer.inputs), {failure.property: failure.reason for failure in answer.failures}

    def diff(self, token: str, olds: Mapping[str, Any], news: Mapping[str, Any], ignore: tuple[str, ...] = ()) -> Any:
        request = provider_pb2.DiffRequest(
            id="x", urn=urn(token), olds=properties.encode(olds), news=properties.encode(news), ignoreChanges=ignore
        )
        return self._ask("Diff", request)

    def create(self, token: str, news: Mapping[str, Any], **more: Any) -> tuple[str, Bag]:
        secrets = more.pop("secrets", ())
        request = provider_pb2.CreateRequest(urn=urn(token), properties=properties.encode(news, secrets), **more)
        answer = self._ask("Create", request)
        return answer.id, properties.decode(answer.properties)

    def make(self, token: str, news: Mapping[str, Any], **more: Any) -> tuple[str, dict[str, Any]]:
        """Check, then create; the id and the outputs."""
        checked, failures = self.check(token, news)
        assert not failures
        id_, outputs = self.create(token, checked.values, **more)
        return id_, outputs.values

    def read(
        self, token: str, id_: str, outputs: Mapping[str, Any] | None = None, inputs: Mapping[str, Any] | None = None
    ) -> tuple[str, Bag, Bag]:
        """Id (empty when it is gone), outputs, inputs; without what is known before it is an import."""
        request = provider_pb2.ReadRequest(
            id=id_, urn=urn(token), properties=properties.encode(outputs or {}), inputs=properties.encode(inputs or {})
        )
        answer = self._ask("Read", request)
        return answer.id, properties.decode(answer.properties), properties.decode(answer.inputs)

    def update(self, token: str, id_: str, olds: Mapping[str, Any], news: Mapping[str, Any], **more: Any) -> Bag:
        request = provider_pb2.UpdateRequest(id=id_, urn=urn(token), olds=properties.encode(olds), news=properties.encode(news), **more)
        return properties.decode(self._ask("Update", request).properties)

    def delete(self, token: str, id_: str, outputs: Mapping[str, Any]) -> None:
        self._ask("Delete", provider_pb2.DeleteRequest(id=id_, urn=urn(token), properties=properties.encode(outputs)))

    def cancel(self) -> None:
        self._ask("Cancel", empty_pb2.Empty())

    def _ask(self, call: str, request: Any) -> Any:
        try:
            return getattr(self.stub, call)(request, timeout=60)
        except self.refused as error:
            raise PluginRefused(error) from error


def urn(token: str, name: str = "thing") -> str:
    return f"urn:pulumi:stack::project::{token}::{name}"


@contextlib.contextmanager
def started(name: str, folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Plugin]:
    """The lab's plugin *name*, unless PATH has a real one that it gives way to."""
    plugins.install(folder, sys.executable)
    executable = shutil.which(f"pulumi-resource-{name}", path=f"{folder}:{os.environ['PATH']}")
    assert executable is not None
    process = subprocess.Popen([executable, NO_ENGINE], stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
    try:
        port = process.stdout.readline().strip() if process.stdout else ""
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Plugin(provider_pb2_grpc.ResourceProviderStub(channel), process)
    finally:
        process.kill()
        process.wait(10)
        if process.stdout:
            process.stdout.close()
