"""Part of the stand-in plugins: what a plugin says to the engine while it waits, shown beside the resource."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import grpc

from lab.plugins.wire import bare_sdk


@dataclass(slots=True)
class EngineLog:
    """The engine's log at *address*; saying something never fails a call."""

    address: str
    _stub: Any = field(default=None)

    def status(self, urn: str, message: str) -> None:
        """Show *message* as the resource's present state; it is kept nowhere."""
        if not self.address:
            return
        with bare_sdk():
            from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc  # noqa: PLC0415 - most runs wait for nothing
        if self._stub is None:
            self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(self.address))
        with contextlib.suppress(grpc.RpcError):
            self._stub.Log(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=message, urn=urn, ephemeral=True), timeout=2.0)
