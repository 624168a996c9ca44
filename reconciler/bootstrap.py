"""The only wiring: an environment and its machine-local defaults → a World. Adapters are imported where they are first needed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler import errors, kinds, local
from reconciler.apply import Unit
from reconciler.components import summary
from reconciler.kinds import Kind, ServiceType
from reconciler.members import act
from reconciler.members.member import declared, departing
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.outcome import Outcome
from reconciler.ports import Lease, Progress
from reconciler.resources import kubernetes
from reconciler.world import World

if TYPE_CHECKING:  # adapters are heavy, and `--help` or a plan needs few of them
    from providers.aws import Aws
    from providers.git import GitSpecs
    from providers.kubernetes import Kubernetes
    from providers.pulumi import Pulumi
    from reconciler.components.controller import Controller as ComponentsController
    from reconciler.components.ports import Records, SessionRunner
    from reconciler.members.controller import Controller as MembersController
    from reconciler.model.componentstate import ComponentState


def environments(repo: str, ref: str | None) -> tuple[str, ...]:
    """The environments that *repo* declares at *ref*."""
    return _specs(repo, ref).environments()


def load(repo: str, ref: str | None, environment: str) -> Desired:
    """The desired state of *environment*; SpecError with every fault."""
    from reconciler import load as loading  # noqa: PLC0415 - the parser is loaded by those who read specs

    here = local.read(environment)
    source = _specs(repo, ref)
    revision, texts = source.read(environment)
    types = kinds.service_types()
    return loading.load(texts, revision, types, base_url=source.base_url, settle=lambda one: local.settled(one, here))


def _specs(repo: str, ref: str | None) -> GitSpecs:
    from providers import git  # noqa: PLC0415

    return git.GitSpecs(repo, ref, cache=local.root() / "git")


@contextmanager
def home(environment: str) -> Iterator[Home]:
    """The Home of *environment*, closed at the end."""
    opened = Home(local.read(environment))
    try:
        yield opened
    finally:
        opened.close()


class Home:
    """One environment on this machine: its settings once specs are loaded, its ports, each made when it is first used."""

    def __init__(self, here: local.Local) -> None:
        self.here = here
        self.stop = threading.Event()
        self.lease: Lease | None = None  # once it is lost, what runs ends as if interrupted
        self._desired: Desired | None = None
        os.environ.update(here.process)  # what botocore and the engine read; one environment a process at a time

    @property
    def environment(self) -> Environment:
        if self._desired is None:
            raise errors.UsageError("the environment is not loaded yet")
        return self._desired.environment

    def world(self, repo: str, ref: str | None) -> tuple[World, Desired]:
        """The outside and the specs, ready to plan; writing ports are made when something is carried out."""
        self._desired = desired = load(repo, ref, self.here.folder.name)
        _require_subnets(desired)
        return self._world(_specs(repo, ref)), desired

    def remember(self, digest: str, text: str) -> None:
        """Keep the plan file *text* under its digest."""
        folder = self.here.folder / "plans"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{digest}.json").write_text(text)

    def recall(self, digest: str) -> str:
        """The plan file kept under *digest*; "" where this machine has none."""
        path = self.here.folder / "plans" / f"{digest}.json"
        return path.read_text() if digest.isalnum() and path.exists() else ""

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """SIGINT and SIGTERM ask for an end: nothing new starts, what is in flight finishes."""
        before = {number: signal.signal(number, lambda *_: self.stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

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

    def _aws(self, profile: str | None, role_arn: str | None, *, reads_only: bool = False) -> Aws:
        from providers.aws import Aws  # noqa: PLC0415

        endpoint = self.environment.aws.endpoint or ""
        return Aws(self.environment.region, profile=profile or "", endpoint=endpoint, role_arn=role_arn or "", reads_only=reads_only)

    @cached_property
    def cluster(self) -> Kubernetes:
        settings = self.environment.kubernetes
        return _kubernetes(settings.kubeconfig, settings.context)

    @cached_property
    def members_cluster(self) -> Kubernetes:
        own, shared = self.environment.members, self.environment.kubernetes
        return _kubernetes(own.kubeconfig or shared.kubeconfig, own.context or shared.context)

    @cached_property
    def leases(self) -> Any:
        from providers.leases import ClusterLeases  # noqa: PLC0415

        return ClusterLeases(self.cluster, self.environment.kubernetes.namespace)

    @cached_property
    def engine(self) -> Pulumi:
        from providers import pulumi  # noqa: PLC0415 - half a second

        os.environ["PATH"] = self.here.path  # the Automation API looks for its command in this process's own
        settings = pulumi.Settings(
            self.backend, self.here.folder / "work", pulumi.process_environment(self.leases.token), self.environment.engine.parallel
        )
        return pulumi.Pulumi(settings, self.kinds, pulumi.Writers(self.environment))

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

    def _secret(self, name: str) -> Mapping[str, bytes]:
        import base64  # noqa: PLC0415

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

    def member_rows(self, desired: Desired) -> list[dict[str, Any]]:
        """The rows of `reconcile members`, read with the plan's credentials."""
        from reconciler.members import listing  # noqa: PLC0415

        members = declared(desired.services, desired.environment, self.types)
        return [asdict(row) for row in listing.rows(members, self._looking().look(members), self.clock.now())]

    def _looking(self) -> MembersController:
        from reconciler.members.controller import Controller  # noqa: PLC0415

        return Controller(self.cluster, self.cloud, self.clock, self.environment)

    def _world(self, specs: GitSpecs) -> World:
        from providers import observe, together  # noqa: PLC0415
        from providers.checkpoints import Checkpoints  # noqa: PLC0415
        from providers.history import SqliteHistory  # noqa: PLC0415

        environment, path = self.environment, Path(self.store.removeprefix("sqlite:///"))
        return World(
            kinds=self.kinds,
            types=self.types,
            clock=self.clock,
            checkpoints=Checkpoints(self.backend),
            leases=lambda: self.leases,
            history=SqliteHistory(path, self.clock),
            observe=lambda: observe.observe(environment, self.kinds, self.cloud, self.cluster),
            standing=self._standing,
            summarise=self._summaries,
            vanished=lambda services: specs.vanished(environment.name, services),
            run=self._run,
            members=self._tick_members,
            components=lambda desired: self.components_controller.tick(desired, sweep=True),
            retain=lambda volumes, commit: act.retain(self.members_cloud, volumes, commit),
            together=together.run,
            stopping=lambda: self.stop.is_set() or (self.lease is not None and self.lease.lost),
        )

    def _run(self, units: Iterable[Unit], progress: Progress) -> Mapping[ResourceId, Outcome]:
        from providers.executor import Executor  # noqa: PLC0415

        at_once = min(self.environment.engine.parallel, 2 * (os.cpu_count() or 1))
        return Executor(self.engine, at_once, self.stop).run(units, progress)

    def _tick_members(self, desired: Desired, changes: Iterable[Change], progress: Progress) -> Mapping[str, Outcome]:
        members = declared(desired.services, desired.environment, self.types)
        going = departing(changes, desired.environment)
        standing = self.members_controller.tick(members, going)
        for whom, deed in standing.deeds:
            progress(whom, "done", deed)
        return {**standing.services, **{name: standing.members[name] for name in going if name in standing.members}}

    def _standing(self, desired: Desired) -> Mapping[str, Outcome]:
        return self._looking().look(declared(desired.services, desired.environment, self.types)).services

    def _summaries(self, desired: Desired) -> Any:
        known = self.known_records()
        return summary.summarise(desired, known.everything() if known else {}, known.resolved() if known else {})


def _kubernetes(kubeconfig: str | None, context: str | None) -> Kubernetes:
    from providers.kubernetes import Kubernetes  # noqa: PLC0415

    return Kubernetes(kubeconfig or "", context or "")


def _require_subnets(desired: Desired) -> None:
    """Interfaces lie in subnets; which, only the environment can say."""
    bare = sorted(str(one.id) for one in desired.resources.values() if one.id.kind == "interface" and not one.fields["subnet"])
    if bare:
        where = desired.environment.origin
        hint = "name a subnet for each zone, or bring the lab up for the environment `lab`"
        raise errors.UsageError(f"{where}: aws.subnets says not where {bare[0]} lies ({len(bare)} interfaces)", hint=hint)
