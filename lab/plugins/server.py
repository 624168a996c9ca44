"""Part of the stand-in plugins: the frame that speaks Pulumi's provider protocol for any `Provider`.

It ends by itself when nobody has asked for anything for long and the engine is gone.
"""
# ruff: noqa: N802, ARG002 - the names and the arguments are the protocol's

from __future__ import annotations

import contextlib
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import NoReturn, TypeVar

import grpc
from google.protobuf import any_pb2, empty_pb2, struct_pb2

from lab.plugins import properties
from lab.plugins.patience import Cancelled, OutOfTime, Patience
from lab.plugins.properties import Bag
from lab.plugins.provider import Difference, Failure, Live, Partial, Provider, Refused, Subject
from lab.plugins.wire import plugin_pb2, provider_pb2, provider_pb2_grpc, sdk_version, status_pb2

T = TypeVar("T")
IDLE_SECONDS = 300.0
_UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
_NAMING = provider_pb2.CheckRequest.AutonamingOptions


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """The protocol's calls, each turned into one of the provider's."""

    def __init__(self, provider: Provider, engine: str) -> None:
        self.provider = provider
        self.engine = engine
        self.patience = Patience()
        self.busy = 0
        self.last = time.monotonic()
        self._lock = threading.Lock()

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        self.engine = request.engine_address or self.engine
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, supports_autonaming_configuration=True)

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=sdk_version(self.provider.package))

    def GetSchema(self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext) -> provider_pb2.GetSchemaResponse:
        return provider_pb2.GetSchemaResponse(schema="{}")

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self.engine = request.address
        return empty_pb2.Empty()

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self.patience.stop.set()
        return empty_pb2.Empty()

    def CheckConfig(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        with self._answering(context):
            failures = self.provider.check_config(properties.decode(request.news).values)
            return provider_pb2.CheckResponse(inputs=request.news, failures=map(_failure, failures))

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        with self._answering(context):
            olds, news = properties.decode(request.old_inputs), properties.decode(request.news)
            return _difference(self.provider.diff_config(olds.values, news.values))

    def Configure(self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext) -> provider_pb2.ConfigureResponse:
        with self._answering(context):
            self.provider.configure(properties.decode(request.args).values, self.patience, self.engine)
            return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True, supports_autonaming_configuration=True)

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        with self._answering(context):
            olds, news = properties.decode(request.olds), properties.decode(request.news)
            subject = _named(request)
            checked, failures = self.provider.check(subject, olds.values, news.values)
            secrets = self.provider.secrets(subject, news, checked)
            return provider_pb2.CheckResponse(inputs=properties.encode(checked, secrets), failures=map(_failure, failures))

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        with self._answering(context):
            olds, news = properties.decode(request.olds), properties.decode(request.news)
            subject = Subject(request.urn, request.id)
            return _difference(self.provider.diff(subject, olds.values, news.values).without(request.ignoreChanges))

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        news = properties.decode(request.properties)
        subject = Subject(request.urn, preview=request.preview, timeout=request.timeout)
        with self._answering(context, subject, news):
            live = self.provider.create(subject, news.values)
            return provider_pb2.CreateResponse(id=live.id, properties=self._outputs(subject, news, live))

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        outputs, inputs = properties.decode(request.properties), properties.decode(request.inputs)
        subject = Subject(request.urn, request.id, timeout=request.timeout)
        known = Bag({**outputs.values, **inputs.values}, outputs.secrets | inputs.secrets)
        with self._answering(context, subject, known):
            live = self.provider.read(subject, outputs.values, inputs.values)
            if live is None:
                return provider_pb2.ReadResponse()
            declared = live.inputs or {}
            return provider_pb2.ReadResponse(
                id=live.id,
                properties=self._outputs(subject, known, live),
                inputs=properties.encode(declared, self.provider.secrets(subject, known, declared)),
            )

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        olds, news = properties.decode(request.olds), properties.decode(request.news)
        subject = Subject(request.urn, request.id, request.preview, request.timeout, tuple(request.ignoreChanges))
        with self._answering(context, subject, news):
            return provider_pb2.UpdateResponse(
                properties=self._outputs(subject, news, self.provider.update(subject, olds.values, news.values))
            )

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        with self._answering(context):
            olds = properties.decode(request.properties)
            self.provider.delete(Subject(request.urn, request.id, timeout=request.timeout), olds.values)
            return empty_pb2.Empty()

    def _outputs(self, subject: Subject, inputs: Bag, live: Live) -> struct_pb2.Struct:
        return properties.encode(live.outputs, self.provider.secrets(subject, inputs, live.outputs))

    @contextlib.contextmanager
    def _answering(self, context: grpc.ServicerContext, subject: Subject | None = None, inputs: Bag | None = None) -> Iterator[None]:
        """Count the call as one under way, and turn what goes wrong in it into the engine's errors."""
        with self._lock:
            self.busy += 1
        try:
            yield
        except Partial as partial:
            self._abort_partial(context, partial, subject or Subject(""), inputs or Bag({}))
        except (Refused, Cancelled, OutOfTime, ValueError) as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except Exception as error:  # noqa: BLE001 - the engine must hear of any fault in its own words
            traceback.print_exc()
            context.abort(grpc.StatusCode.UNKNOWN, f"the lab's plugin failed: {type(error).__name__}: {error}")
        finally:
            with self._lock:
                self.busy -= 1
                self.last = time.monotonic()

    def _abort_partial(self, context: grpc.ServicerContext, partial: Partial, subject: Subject, inputs: Bag) -> NoReturn:
        live, declared = partial.live, partial.live.inputs
        detail = provider_pb2.ErrorResourceInitFailed(
            id=live.id,
            properties=self._outputs(subject, inputs, live),
            reasons=partial.reasons,
            inputs=properties.encode(declared, self.provider.secrets(subject, inputs, declared)) if declared is not None else None,
        )
        packed = any_pb2.Any()
        packed.Pack(detail)
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(partial), details=[packed])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, str(partial))
        raise AssertionError("abort raises")


def serve(provider: Provider, engine: str) -> None:
    """Serve *provider* on a port of its own, printed as the engine expects it, until it is of no more use."""
    servicer = Servicer(provider, engine)
    server = grpc.server(futures.ThreadPoolExecutor(32), options=_UNLIMITED)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)  # noqa: T201 - this line is the protocol
    watch(servicer, lambda seconds: bool(server.wait_for_termination(seconds)))
    server.stop(None)


def watch(servicer: Servicer, ended: Callable[[float], bool], idle: float = IDLE_SECONDS) -> None:
    """Return once no call was under way for *idle* seconds and nobody listens at the engine's address any more."""
    while True:
        ended(min(30.0, idle))
        quiet = servicer.busy == 0 and time.monotonic() - servicer.last >= idle
        if quiet and not _listening(servicer.engine):
            return


def _listening(address: str) -> bool:
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return False
    try:
        socket.create_connection((host or "127.0.0.1", int(port)), 2.0).close()
    except OSError:
        return False
    return True


def _named(request: provider_pb2.CheckRequest) -> Subject:
    naming = request.autonaming if request.HasField("autonaming") else _NAMING()
    return Subject(request.urn, seed=request.randomSeed, proposed_name=naming.proposed_name, may_name=naming.mode != _NAMING.Mode.DISABLE)


def _failure(failure: Failure) -> provider_pb2.CheckFailure:
    return provider_pb2.CheckFailure(property=failure.property, reason=failure.reason)


def _difference(difference: Difference) -> provider_pb2.DiffResponse:
    """The engine's form; a replacing change is marked so beside its path."""
    kinds = provider_pb2.PropertyDiff
    detailed = {
        properties.name_of(path): kinds(kind=kinds.Kind.Value(sort.upper() + ("_REPLACE" if path in difference.replaces else "")))
        for path, sort in difference.changes.items()
    }
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if detailed else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=sorted({str(path[0]) for path in difference.changes}),
        replaces=sorted(properties.name_of(path) for path in difference.replaces),
        detailedDiff=detailed,
        hasDetailedDiff=True,
        deleteBeforeReplace=difference.delete_first and bool(difference.replaces),
    )
