"""The ports of one environment, each made when it is first used: adapters are heavy, and a plan needs few of them."""

from __future__ import annotations

import base64
import os
import secrets
import threading
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reconciler import errors, kinds, local
from reconciler.kinds import Kind, ServiceType
from reconciler.model import allowance
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.ports import Cluster, Engine, Lease
from reconciler.resources import kubernetes, marks

if TYPE_CHECKING:
    from providers.aws import Aws
    from providers.kubernetes import Kubernetes
    from providers.pulumi import Pulumi
    from providers.served import Served
    from reconciler.components.controller import Controller as ComponentsController
    from reconciler.components.ports import Records, SessionRunner
    from reconciler.members.controller import Controller as MembersController
    from reconciler.members.initial.controller import Initialiser
    from reconciler.members.initial.drain import Drainer
    from reconciler.members.snapshots.controller import Taker
    from reconciler.model.componentstate import ComponentState

API_TOKEN = "reconciler-api"  # noqa: S105 - the Secret's name


class Outside:
    """What is outside for one environment: with reading credentials for the plan, with their own for the engine and the members."""

    bare = False  # whether all that is declared is in Kubernetes

    def __init__(self, here: local.Local, stop: threading.Event | None = None, token: str = "") -> None:
        self.here = here
        self.stop = stop or threading.Event()
        self._token = token  # of the run that this is part of, where it has several commits open
        self.lease: Lease | None = None  # once it is lost, what runs ends as if interrupted
        self._desired: Desired | None = None
        os.environ.update(here.process)  # what botocore and the engine read; one environment a process at a time

    @property
    def environment(self) -> Environment:
        if self._desired is None:
            raise errors.UsageError("the environment is not loaded yet")
        return self._desired.environment

    def close(self) -> None:
        """Close what was opened."""
        for name in ("records", "cloud", "members_cloud", "cluster", "members_cluster"):
            if name in self.__dict__:
                self.__dict__[name].close()

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        return kinds.kinds()

    @cached_property
    def types(self) -> Mapping[str, ServiceType]:
        return kinds.service_types()

    @cached_property
    def clock(self) -> Any:
        from providers.clock import SystemClock  # noqa: PLC0415

        return SystemClock(self.stop)

    @cached_property
    def cloud(self) -> Aws:
        """AWS as the plan sees it: whatever its credentials allow, it only reads."""
        return self._aws(self.environment.aws.profile, self.environment.aws.role_arn, reads_only=True)

    @cached_property
    def members_cloud(self) -> Aws:
        settings = self.environment.members
        return self._aws(settings.profile or self.environment.aws.profile, settings.role_arn or self.environment.aws.role_arn)

    def _aws(self, profile: str | None, role_arn: str | None, *, reads_only: bool = False, attempts: int = 3) -> Aws:
        from providers.aws import Aws  # noqa: PLC0415

        endpoint = self.environment.aws.endpoint or ""
        return Aws(
            self.environment.region,
            profile=profile or "",
            endpoint=endpoint,
            role_arn=role_arn or "",
            reads_only=reads_only,
            attempts=attempts,
            stop=self.stop,
        )

    @cached_property
    def cluster(self) -> Kubernetes:
        settings = self.environment.kubernetes
        return self._kubernetes(settings.kubeconfig, settings.context)

    @cached_property
    def members_cluster(self) -> Kubernetes:
        own, shared = self.environment.members, self.environment.kubernetes
        return self._kubernetes(own.kubeconfig or shared.kubeconfig, own.context or shared.context)

    def _kubernetes(self, kubeconfig: str | None, context: str | None) -> Kubernetes:
        from providers.kubernetes import Kubernetes  # noqa: PLC0415

        return Kubernetes(kubeconfig or "", context or "", stop=self.stop)

    @cached_property
    def leases(self) -> Any:
        from providers import runs  # noqa: PLC0415
        from providers.leases import ClusterLeases  # noqa: PLC0415

        return ClusterLeases(self.cluster, self.environment.kubernetes.namespace, run=runs.own(self._token))

    @cached_property
    def engine(self) -> Pulumi:
        from providers import pulumi  # noqa: PLC0415 - half a second
        from providers.kubernetes import kubeconfig  # noqa: PLC0415

        os.environ["PATH"] = self.here.path  # the Automation API looks for its command in this process's own
        own, process = self.environment.engine, pulumi.process_environment(self.leases.token)
        named = own.kubeconfig or self.environment.kubernetes.kubeconfig
        allowed = tuple(allowance.parse(one) for one in own.allow)
        settings = pulumi.Settings(self.backend, self.here.folder / "work", process, own.parallel, allowed)
        return pulumi.Pulumi(settings, self.kinds, pulumi.Writers(self.environment, "" if named else kubeconfig.account(), self.bare))

    @property
    def writing(self) -> Engine:
        """The engine with what allocates addresses before it, and removes strays and given-up data after it; all with its credentials."""
        from providers.allocation import Allocating  # noqa: PLC0415
        from providers.checkpoints import Checkpoints  # noqa: PLC0415
        from providers.disposal import Disposing  # noqa: PLC0415
        from providers.leftover import Sweeping  # noqa: PLC0415
        from providers.rebuilding import Rebuilding  # noqa: PLC0415

        checkpoints = Checkpoints(self.backend)
        allocating = Allocating(self.engine, lambda: self._as_engine(attempts=1), checkpoints.intents, self.clock)
        sweeping = Sweeping(allocating, checkpoints, self._as_engine, self._cluster_as_engine)
        disposing = Disposing(sweeping, checkpoints, self._as_engine, self.clock, self.stop.is_set)
        return Rebuilding(disposing, self._as_engine, self._cluster_as_engine, lambda: self.members_cluster, self.clock)

    def _cluster_as_engine(self) -> Kubernetes:
        own, shared = self.environment.engine, self.environment.kubernetes
        return self._kubernetes(own.kubeconfig or shared.kubeconfig, own.context or shared.context)

    def _as_engine(self, attempts: int = 3) -> Aws:
        own, shared = self.environment.engine, self.environment.aws
        return self._aws(own.profile or shared.profile, own.role_arn or shared.role_arn, attempts=attempts)

    @property
    def backend(self) -> str:
        return self.environment.engine.backend or f"file://{self.here.folder}/engine"

    @cached_property
    def store(self) -> str:
        return self.environment.store or f"sqlite:///{self.here.folder}/store.db"

    @cached_property
    def records(self) -> Records:
        from providers import sqlite  # noqa: PLC0415

        return sqlite.open_records(self.store, self.environment.name)

    def known_records(self) -> Records | None:
        """The records, only to be read; None where nothing was ever written."""
        from providers import sqlite  # noqa: PLC0415

        return sqlite.read_records(self.store, self.environment.name)

    def remembered(self) -> Mapping[str, ComponentState]:
        known = self.known_records()
        return known.everything() if known else {}

    @cached_property
    def sessions(self) -> SessionRunner:
        if self.environment.sessions.executor == "local":
            from providers.session_directory import DirectoryRunner  # noqa: PLC0415

            return DirectoryRunner(self.here.folder / "sessions", self.environment.sessions, self._secret)
        from providers.session_jobs import JobRunner  # noqa: PLC0415

        return JobRunner(self.cluster, self.environment, self.clock)

    def api_token(self, *, make: bool = False) -> str:
        """What callers of this environment's API have to show: made once, by whoever serves first, and read by who may read Secrets."""
        kind, namespace = kubernetes.KINDS["Secret"], self.environment.kubernetes.namespace
        if make and not self.cluster.exists(kind, API_TOKEN, namespace=namespace):
            metadata = {"name": API_TOKEN, "namespace": namespace, "labels": {marks.MANAGED_BY[0]: marks.MANAGED_BY[1]}}
            data = {"token": base64.b64encode(secrets.token_urlsafe(32).encode()).decode()}
            body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "immutable": True, "data": data}
            self.cluster.create(kind, body)
        return self._secret(API_TOKEN)["token"].decode()

    @cached_property
    def served(self) -> Served:
        """The running `serve` that the environment names."""
        from providers.served import Served  # noqa: PLC0415

        return Served(self.environment.api or "", self.cluster, self.api_token)

    def _secret(self, name: str) -> Mapping[str, bytes]:
        found = self.cluster.get(kubernetes.KINDS["Secret"], name, namespace=self.environment.kubernetes.namespace)
        if found is None:
            hint = f"make it in namespace {self.environment.kubernetes.namespace}"
            raise errors.ProviderError(f"there is no Secret {name}", hint=hint)
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}

    @cached_property
    def components_controller(self) -> ComponentsController:
        from providers.branch import tips  # noqa: PLC0415
        from reconciler.components.controller import Controller  # noqa: PLC0415

        return Controller(self.records, self.sessions, self.clock, tips(self._secret))

    @cached_property
    def members_controller(self) -> MembersController:
        from reconciler.members.controller import Controller  # noqa: PLC0415

        return Controller(self.members_cluster, self.members_cloud, self.clock, self.environment)

    @cached_property
    def taker(self) -> Taker:
        from providers import together  # noqa: PLC0415
        from reconciler.members.snapshots.controller import Taker  # noqa: PLC0415

        return Taker(self.members_cloud, self.clock, self.types, together.run)

    @cached_property
    def initialiser(self) -> Initialiser:
        return self._initialiser(self.members_cluster)

    @cached_property
    def drainer(self) -> Drainer:
        from reconciler.members.initial.drain import Drainer  # noqa: PLC0415

        return Drainer(self.members_cluster, self.clock, self.types)

    def _initialiser(self, cluster: Cluster) -> Initialiser:
        from providers.bindings import Bindings  # noqa: PLC0415
        from reconciler.members.initial.controller import Initialiser  # noqa: PLC0415

        return Initialiser(cluster, Bindings(self.cluster, self._cluster_as_engine), self.clock, self.types)

    def _looking(self) -> MembersController:
        from reconciler.members.controller import Controller  # noqa: PLC0415

        return Controller(self.cluster, self.cloud, self.clock, self.environment)
