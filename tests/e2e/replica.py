"""Environments that are all alike, each in a namespace, a zone and a working directory of its own; made to be killed and compared."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lab import hosts, layout
from lab.halt.effects import Effects
from lab.halt.station import Station
from tests.e2e import lab_world, run
from tests.e2e.judge import Judge
from tests.e2e.run import Run
from tests.e2e.workshop import Ended, Workshop

APPLY = ("apply", "--auto-approve", "--allow-deletes", "1000", "--timeout", "4m")
NO_CHANGES = "No changes. Your infrastructure matches the configuration."
LAYER, LATER_LAYER = "mark", "sign"
CHANGED = "changed"  # a branch of the config repository
_HOSTS = ("east", "west")
_ZONES = layout.ZONES[:2]
# Says that it has begun, takes its time, says that it has ended: a run that was cut short shows.
_PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Write what tells
      ansible.builtin.raw: echo '{{{{ inventory_hostname }}}} {layer} begins' >> /srv/runs.log; sleep {seconds}
    - name: Say that it has ended
      ansible.builtin.raw: echo '{{{{ inventory_hostname }}}} {layer} ends' >> /srv/runs.log
"""
_KEEP = "echo kept > /data/used; trap 'exit 0' TERM; sleep infinity & wait"


@dataclass(frozen=True)
class Replicas:
    """*names* are environments in one config repository."""

    workshop: Workshop
    judge: Judge
    names: tuple[str, ...]

    @cached_property
    def environment(self) -> Mapping[str, str]:
        return {**self.workshop.environment, "RECONCILE_REPO": str(self.workshop.directory / "config.git")}

    @contextmanager
    def open(self, name: str) -> Iterator[Replica]:
        """The replica *name*, not applied yet; at the end nothing of it runs any more."""
        directory = self.workshop.directory / "replicas" / name
        _prepare(self, name)
        with Station(self.workshop.running, directory / "gate") as station:
            replica = Replica(self, name, station, directory / "first")
            station.settle(replica.directory, name)
            try:
                yield replica
            finally:
                station.effects.release(drop=True)
                replica.end()


@dataclass(frozen=True)
class Replica:
    """One environment; commands run in *directory* and reach the world through *station*."""

    all: Replicas
    name: str
    station: Station
    directory: Path
    ref: str = ""

    @property
    def effects(self) -> Effects:
        return self.station.effects

    @property
    def mark(self) -> str:
        """What its processes carry; other tests of this machine may have replicas of that name."""
        return str(self.all.workshop.directory / self.name)

    def elsewhere(self, folder: str) -> Replica:
        """The same environment in another directory, which knows nothing of what was done from this one."""
        there = replace(self, directory=self.directory.with_name(folder))
        self.station.settle(there.directory, self.name)
        return there

    def later(self) -> Replica:
        """The same environment as the next commit declares it."""
        return replace(self, ref=CHANGED)

    def start(self, *words: str) -> Run:
        ref = ("--ref", self.ref) if self.ref else ()
        return run.start((*words, "-e", self.name, *ref), self.directory, self.all.environment, self.mark)

    def reconcile(self, *words: str) -> Ended:
        """Run a command to its end; what it said is in `stdout`."""
        started = self.start(*words)
        code = started.end()
        return subprocess.CompletedProcess(words, code, started.said, "")

    def standing(self) -> Any:
        """All that outsiders see of it, its name taken out: two replicas that stand alike are equal."""
        seen = {**self.all.judge.standing(self.name), "runs": self.runs(), "engine at rest": self.engine_is_at_rest()}
        return json.loads(json.dumps(seen, sort_keys=True).replace(self.name, "NAME"))

    def runs(self) -> dict[str, dict[str, int]]:
        """How often each step of each playbook ran for each component, by the hosts' own logs."""
        lines = (line.split() for host in _HOSTS for line in self.all.judge.on_host(host, "/srv/runs.log").splitlines())
        found: dict[str, Counter[str]] = {component: Counter() for component in components(self.name)}
        for component, *step in lines:
            if component in found:
                found[component][" ".join(step)] += 1
        return {component: dict(sorted(counted.items())) for component, counted in found.items()}

    @property
    def stacks(self) -> dict[str, Any]:
        """The engine's own record, a stack a file; no other reads it while it is written."""
        folder = self.directory / ".reconcile" / self.name / "engine/.pulumi/stacks/reconciler"
        return {path.stem: json.loads(path.read_text())["checkpoint"].get("latest") or {} for path in sorted(folder.glob("*.json"))}

    def engine_is_at_rest(self) -> bool:
        """No stack is locked, none has an operation that nobody knows the end of."""
        locks = (self.directory / ".reconcile" / self.name / "engine/.pulumi/locks").glob("**/*.json")
        return not list(locks) and not any(stack.get("pending_operations") for stack in self.stacks.values())

    def end(self) -> None:
        """End what runs of it, in the lab too. Only what a plugin or an engine has left: whatever should have ended was judged before."""
        for pid in run.alive(self.mark):
            subprocess.run(["kill", "-9", str(pid)], check=False, capture_output=True)
        self.all.judge.clear(self.name)


def components(name: str) -> tuple[str, ...]:
    return tuple(f"{name}-{host}" for host in _HOSTS)


def settle(workshop: Workshop, names: tuple[str, ...], *, seconds: float = 0, services: bool = True) -> Replicas:
    """Push what *names* declare, start the hosts that their components are; a playbook takes *seconds*."""
    started = hosts.start(workshop.running, list(_HOSTS))
    places = {host.name: host.address for host in started.hosts}
    workshop.repository("layers", {f"{layer}.yaml": _PLAYBOOK.format(layer=layer, seconds=seconds) for layer in (LAYER, LATER_LAYER)})
    specs = {name: _specs(name, places, services=services) for name in names}
    config = workshop.repository("config", {path: text for files in specs.values() for path, text in files.items()})
    if services:
        config.branch(CHANGED)
        config.commit("Change", {path: text for name, files in specs.items() for path, text in _changed(name, files).items()})
        config.push(CHANGED)
    return Replicas(workshop, lab_world.judge(workshop), names)


def _specs(name: str, places: Mapping[str, str], *, services: bool) -> dict[str, str]:
    """Two *services* that differ in whose their names and addresses are, and two components; JSON is YAML."""
    ssh = {"user": "root", "keySecret": "ansible-ssh", "knownHostsSecret": "ansible-known-hosts"}
    environment = {
        "zones": list(_ZONES),
        "dns": {"zone": f"{name}.internal"},
        "kubernetes": {"namespace": name},
        "sessions": {"retryPolicy": 3, "ssh": ssh},
    }
    layers = [{"name": LAYER, "cloneUrl": "../layers.git", "branch": "main", "playbook": f"{LAYER}.yaml"}]
    known = dict(zip(components(name), places.values(), strict=True))
    fleet = {"ids": list(known), "desiredConfiguration": "base", "hosts": {one: {"ansible_host": at} for one, at in known.items()}}
    documents: dict[str, tuple[str, str, Mapping[str, Any]]] = {
        "environment": ("Environment", name, environment),
        "base": ("Configuration", "base", {"layers": layers}),
        "fleet": ("Components", "fleet", fleet),
    }
    if services:
        documents |= {"db": ("Service", "db", _service(name, "elastic")), "kv": ("Service", "kv", _service(name, "none"))}
    return {f"specs/{name}/{file}.yaml": _document(*document) for file, document in documents.items()}


def _changed(name: str, files: Mapping[str, str]) -> dict[str, str | None]:
    """What the next commit has otherwise: a service goes, the other grows and restarts, names live longer, the playbook is another."""
    folder = f"specs/{name}"
    environment, db, base = (json.loads(files[f"{folder}/{file}.yaml"]) for file in ("environment", "db", "base"))
    environment["spec"]["dns"]["ttl"] = "7s"
    db["spec"] |= {"volumes": {"data": {"size": "6Gi"}}, "restartedAt": "once"}
    base["spec"]["layers"][0]["playbook"] = f"{LATER_LAYER}.yaml"
    told = {f"{folder}/{file}.yaml": json.dumps(one, indent=1) for file, one in (("environment", environment), ("db", db), ("base", base))}
    return {**told, f"{folder}/kv.yaml": None}


def _service(name: str, addresses: str) -> dict[str, Any]:
    container = {"name": "main", "image": "python:3.12", "command": ["bash", "-c", _KEEP]}
    return {
        "type": "generic",
        "namespace": name,
        "replicas": 1,
        "addresses": addresses,
        "volumes": {"data": {"size": "4Gi"}},
        "options": {"mounts": {"data": "/data"}},
        "podTemplate": {"spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}},
    }


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> str:
    return json.dumps({"apiVersion": "reconciler/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}, indent=1)


def _prepare(replicas: Replicas, name: str) -> None:
    """What an environment finds: its namespace, in which a pass may write, and the keys of its hosts."""
    lab = Path(replicas.workshop.running.dir) / "hosts"
    marks = {"labels": {"app.kubernetes.io/managed-by": "reconciler", "reconciler/environment": name}}
    address = {"annotations": {"reconciler/address": f"kubernetes/{name}/-/Namespace/-/{name}"}}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reconciler-pass"}
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reconciler"}
    own = {"namespace": name}
    keys = {"ansible-ssh": ("ssh-privatekey", "id_ed25519"), "ansible-known-hosts": ("known_hosts", "known_hosts")}
    items: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **marks, **address}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "reconciler-pass", **own},
            "roleRef": role,
            "subjects": [user],
        },
    ]
    for secret, (key, file) in keys.items():
        text = {key: (lab / file).read_text()}
        items.append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret, **own}, "stringData": text})
    replicas.judge.create(items)
