"""A run's way to the lab: an AWS endpoint and kubeconfigs of its own, all of whose effects pass one count."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab import access, defaults
from lab.aws.exchange import Server
from lab.halt import gate
from lab.halt.effects import Effects
from lab.halt.files import Files
from lab.halt.gate import Gate
from lab.layout import Layout, Role
from lab.plugins import kubernetes_config

_ROLES: tuple[Role, ...] = ("reconciler", "engine", "members")


@dataclass(slots=True)
class Station:
    """Stands before the lab *running* for one environment, between `open` and `close`; *folder* keeps its kubeconfigs."""

    running: Layout
    folder: Path
    effects: Effects = field(default_factory=Effects)
    _servers: list[Server] = field(default_factory=list)
    _gates: list[Gate] = field(default_factory=list)
    _files: list[Files] = field(default_factory=list)
    _spec: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        credentials = Path(self.running.aws.credentials_file)
        keys = {access.read_credentials(credentials, role)[0]: role for role in _ROLES}
        self._spec = {"aws": self._serve(Gate(self.running.aws.endpoint, dict(keys), self.effects))}
        self._spec |= {role: str(self._cluster(role)) for role in _ROLES}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.effects.release(drop=True)
        for files in self._files:
            files.close()
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for made in self._gates:
            made.close()

    def settle(self, directory: Path, environment: str) -> Path:
        """Make *directory* one where runs of *environment* pass here, with store and engine state of its own; the folder of those."""
        own = directory / ".reconcile" / environment
        told = defaults.defaults(self.running)
        spec, aws = told["spec"], {**told["spec"]["aws"], "endpoint": self._spec["aws"]}
        engine = {**spec["engine"], "backend": f"file://{own}/engine", "kubeconfig": self._spec["engine"]}
        members = {**spec["members"], "kubeconfig": self._spec["members"]}
        ours = {"aws": aws, "kubernetes": {"kubeconfig": self._spec["reconciler"]}, "engine": engine, "members": members}
        process = {**told["process"], "PULUMI_HOME": f"{self.running.dir}/reconciler/pulumi", "PULUMI_CONFIG_PASSPHRASE": "lab"}
        files = Files(own / "engine/.pulumi/stacks/reconciler", own / "store/store.db", self.effects)
        self._files.append(files)
        document = {**told, "spec": {**spec, **ours, "store": f"sqlite:///{own}/store/store.db"}, "process": process}
        (own / defaults.FILE).write_text(json.dumps(document, indent=1))
        return own

    def _serve(self, made: Gate) -> str:
        server = gate.serve(made)
        self._servers.append(server)
        self._gates.append(made)
        return f"http://127.0.0.1:{server.server_port}"

    def _cluster(self, role: Role) -> Path:
        """A kubeconfig without credentials: the gate has those of *role*."""
        target = kubernetes_config.target(self.running.kubernetes.kubeconfigs[role])
        server = self._serve(Gate(target.server, {"": role}, self.effects, kubernetes_config.tls(target)))
        path = self.folder / f"{role}.kubeconfig"
        path.write_text(json.dumps(_kubeconfig(server)))
        return path


def _kubeconfig(server: str) -> Mapping[str, Any]:
    named = {"name": "gate"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "gate",
        "clusters": [{**named, "cluster": {"server": server}}],
        "users": [{**named, "user": {}}],
        "contexts": [{**named, "context": {"cluster": "gate", "user": "gate"}}],
    }
