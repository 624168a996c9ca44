"""The wiring of `install`: the reconciler in a cluster is a stack of its own, made with the rights of whoever installs it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from reconciler import local, loop, policies
from reconciler.bootstrap import Home
from reconciler.kinds import Kind, ServiceType
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.origin import Revision
from reconciler.model.outcome import Outcome
from reconciler.ports import Lease, Progress
from reconciler.resources import installed, kubernetes
from reconciler.resources.installed import Rules
from reconciler.resources.installed_pod import NAME, Choices
from reconciler.world import World

FOLDER = "install"  # of the environment's own: the engine's record of the installation, apart from that of what the environment declares
LOCK = "install"


@contextmanager
def site(environment: str) -> Iterator[Site]:
    """Where the reconciler for *environment* is installed from, closed at the end."""
    here = local.read(environment)
    opened = Site(replace(here, folder=here.folder / FOLDER))
    try:
        yield opened
    finally:
        opened.close()


class Site(Home):
    """One installation as the command makes it: Kubernetes objects alone, seen by kinds that no environment's plan looks at."""

    bare = True

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        from providers.kinds.kubernetes import INSTALLED  # noqa: PLC0415

        return {INSTALLED.name: INSTALLED}

    @cached_property
    def types(self) -> Mapping[str, ServiceType]:
        return {}

    def ready(self, desired: Desired) -> World:
        """The outside of what *desired* declares; in the place of members, its Pod is waited for."""
        self._desired = desired
        return replace(
            self._world(lambda _services: {}),
            summarise=lambda _desired: (),
            members=self._stands,
            components=lambda _desired: (),
            nodes=lambda: None,
        )

    def lock(self) -> Lease:
        """One installation at a time; a `serve` that runs already has the lock of its passes."""
        lease: Lease = self.leases.hold(LOCK, duration=loop.HOLDS_FOR)
        return lease

    def _stands(self, desired: Desired, changes: Iterable[Change], progress: Progress) -> Mapping[str, Outcome]:
        del progress
        (id,) = (one for one in desired.resources if one.name.startswith("Deployment/"))
        if any(change.action in {"hold", "refuse"} for change in changes):
            return {}
        deployment = self._look(id)
        namespace = self.environment.kubernetes.namespace
        labels = deployment["spec"]["selector"]["matchLabels"] if deployment else {}
        asked = ",".join(f"{name}={value}" for name, value in labels.items())
        pods = self.cluster.list(kubernetes.POD, namespace=namespace, selector=asked) if asked else ()
        return {NAME: installed.standing(deployment, pods)}


def desired(environment: Environment, revision: Revision, choices: Choices, kubeconfig: str = "", context: str = "") -> Desired:
    """What is declared for an installation that serves *environment*, with whose rights it is made."""
    own = installed.owner(environment, kubeconfig, context)
    found = installed.resources(environment, choices, rules())
    return Desired(own, replace(revision, environment=own.name), resources={one.id: one for one in found})


def rules() -> Rules:
    """The shipped rules of each role."""
    folder = Path(next(iter(policies.__path__)))
    every: list[dict[str, Any]] = [one for path in sorted(folder.glob("*.yaml")) for one in YAML(typ="safe").load_all(path.read_text())]
    named = {one["metadata"]["name"]: one.get("rules", []) for one in every}
    return {role: named[f"reconciler-{role}"] for role in installed.ROLES}
