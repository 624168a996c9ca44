"""What the engine says while it runs, received over gRPC: the file form of its event log is truncated when the update begins."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import events_pb2, events_pb2_grpc

from providers.checkpoints import logical as address
from providers.checkpoints import ours
from providers.pulumi import fields
from providers.pulumi.journal import Journal
from reconciler.ports import Progress

QUIET_OPS = frozenset({"same", "refresh", "read", "read-replacement", "discard", "discard-replaced", "remove-pending-replace"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of the engine: what it would do to the resource declared as *address*, and to which of its fields.

    *before* is what it has just read of what it would update, by its own names.
    """

    op: str
    address: str
    fields: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Log:
    """What one run said. Written by the gRPC thread, read when the preview has been summed up, and after the run."""

    progress: Progress
    journal: Journal | None = None
    previewed: list[Operation] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    summed_up: threading.Event = field(default_factory=threading.Event)

    def take(self, event: Mapping[str, Any]) -> None:
        """File one engine event."""
        match event:
            case {"resourcePreEvent": {"metadata": metadata, "planning": True}}:
                self._preview(metadata)
            case {"resourcePreEvent": {"metadata": metadata}}:
                self._note(lambda journal: journal.started(address(metadata["urn"]), metadata["op"]))
                self._say(metadata, "start")
            case {"resOutputsEvent": {"metadata": metadata, **rest}} if not rest.get("planning") and metadata["op"] != "refresh":
                self.done.add(address(metadata["urn"]))
                self._note(lambda journal: journal.done(address(metadata["urn"])))
                self._say(metadata, "done")
            case {"resOpFailedEvent": {"metadata": metadata}}:
                self.failed.setdefault(address(metadata["urn"]), "")
                self._say(metadata, "failed")
            case {"diagnosticEvent": {"severity": "error", "message": message, **rest}}:
                self._fault(str(rest.get("urn", "")), message)
            case {"summaryEvent": _} if not self.summed_up.is_set():
                self.summed_up.set()

    def _note(self, what: Callable[[Journal], None]) -> None:
        """Keep the journal. Where it cannot be written the engine's record cannot either: it stops by itself, if it is listened to."""
        try:
            if self.journal:
                what(self.journal)
        except OSError as error:
            self.faults.append(f"{error.filename} cannot be written: {error.strerror}")

    def _preview(self, metadata: Mapping[str, Any]) -> None:
        if metadata["op"] not in QUIET_OPS and ours(metadata["urn"]):
            self.previewed.append(operation(metadata))

    def _say(self, metadata: Mapping[str, Any], what: Any) -> None:
        if metadata["op"] not in QUIET_OPS and ours(metadata["urn"]):
            self.progress(address(metadata["urn"]), what, metadata["op"])

    def _fault(self, urn: str, message: str) -> None:
        if urn and ours(urn):
            self.failed[address(urn)] = brief(message)
        elif not message.startswith("python inline source runtime error"):
            self.faults.append(brief(message))


def operation(metadata: Mapping[str, Any]) -> Operation:
    """A step's *metadata* in the words of the plan."""
    where, op = address(metadata["urn"]), metadata["op"]
    paths = metadata.get("detailedDiff") or metadata.get("diffs") or ()
    before = (metadata.get("old") or {}).get("outputs") or {} if op == "update" else {}
    return Operation(op, where, fields.named(where.partition("/")[0], paths), before)


def brief(message: str) -> str:
    """A diagnostic in one line; of a traceback only what it ends with."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if "Traceback (most recent call last):" in lines:
        lines = [*lines[: lines.index("Traceback (most recent call last):")], lines[-1]]
    return " ".join(lines)


class Receiver(events_pb2_grpc.EventsServicer):
    """The end of `--event-log tcp://…`."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def StreamEvents(self, request_iterator: Iterator[events_pb2.EventRequest], context: grpc.ServicerContext) -> empty_pb2.Empty:  # noqa: N802, ARG002
        for request in request_iterator:
            self.log.take(json.loads(request.event))
        return empty_pb2.Empty()
