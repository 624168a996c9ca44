"""A config repository out of a seed: two commits of services, configurations and components, and what has to come of each. Pure.

Nothing of it is taken from specs/lab: names, counts, sizes, zones and failures are drawn, within what two cores can bear.
"""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ruamel.yaml import YAML

from lab import layout

ENVIRONMENT = "lab"
LAYERS = "layers"  # the repository beside the config repository that playbooks are cloned from
EDITIONS = ("main", "next")  # its branches: a layer's playbook says on each host which of them it came from; in the first, some fail
_WORDS = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heron",
    "iris",
    "jade",
    "kelp",
    "larch",
    "maple",
    "north",
    "ochre",
    "pearl",
    "quartz",
    "raven",
    "slate",
    "tulip",
]
_SERVER = """\
exec python3 -u -c '
import os, pathlib, socketserver
place = pathlib.Path("{path}")
with (place / "starts").open("a") as starts: starts.write(os.environ["MEMBER"] + " {text}\\n")
class Answer(socketserver.BaseRequestHandler):
    def handle(self): self.request.sendall((os.environ["MEMBER"] + " {text}\\n").encode())
socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer((os.environ["FQDN"], {port}), Answer).serve_forever()
'
"""


@dataclass(frozen=True)
class Service:
    """One service as declared. *text* is what a generic one answers with."""

    name: str
    type: str
    replicas: int
    size: int
    zones: tuple[str, ...]
    own_zones: bool = False
    addresses: str = "none"
    volume: str = "data"
    options: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    port: int = 0

    @property
    def members(self) -> tuple[str, ...]:
        return tuple(f"{self.name}-{number}" for number in range(self.replicas))

    def zone(self, member: str) -> str:
        """Where a member lives: zones in turn."""
        return self.zones[int(member.rpartition("-")[2]) % len(self.zones)]

    def address(self, member: str) -> str:
        """The address of a member's volume."""
        return f"volume/{ENVIRONMENT}/{self.name}/{member}/{self.volume}"

    def document(self) -> str:
        spec: dict[str, Any] = {"type": self.type, "replicas": self.replicas, "volumes": {self.volume: {"size": f"{self.size}Gi"}}}
        if self.own_zones:
            spec["zones"] = list(self.zones)
        if self.addresses != "none":
            spec["addresses"] = self.addresses
        spec |= self._program() if self.type == "generic" else {"options": dict(self.options)} if self.options else {}
        return _document("Service", self.name, spec)

    def _program(self) -> dict[str, Any]:
        path = f"/var/lib/{self.name}"
        probe = {"exec": {"command": ["bash", "-c", f'exec 3<>"/dev/tcp/$FQDN/{self.port}"']}, "periodSeconds": 2, "timeoutSeconds": 5}
        command = ["bash", "-c", _SERVER.format(path=path, text=self.text, port=self.port)]
        container = {"name": "main", "image": "python:3.12", "command": command, "readinessProbe": probe}
        pod = {"terminationGracePeriodSeconds": 2, "containers": [container]}
        return {"options": {"mounts": {self.volume: path}}, "podTemplate": {"spec": pod}}


@dataclass(frozen=True)
class Layer:
    """One playbook. It fails *times* on *host*, then no more; *edition* is the branch that it is taken from."""

    name: str
    host: str = ""
    times: int = 0
    copies: bool = False
    edition: str = EDITIONS[0]

    @property
    def playbook(self) -> str:
        return f"{self.name}.yaml"

    def text(self, edition: str) -> str:
        """The playbook: appends to the host's run log, fails where it shall, then writes a file that says where it came from."""
        word = f"{self.name} {edition}"
        failing = self.times if edition == EDITIONS[0] else 0
        script = (
            f"echo '{word}' >> /srv/runs.log\n"
            f"if [ $(hostname) = '{self.host}' ] && [ $(grep -c '^{word}$' /srv/runs.log) -le {failing} ]; then exit 7; fi\n"
            f'echo "{word} on $(hostname)" > /srv/{self.name}\n'
        )
        tasks: list[dict[str, Any]] = [{"name": "Write what tells", "ansible.builtin.shell": script, "changed_when": True}]
        if self.copies:
            copied = {"dest": f"/etc/{self.name}.conf", "content": f"{{{{ inventory_hostname }}}} {word}\n", "mode": "0640"}
            tasks.append({"name": "Copy", "ansible.builtin.copy": copied})
        return _dump([{"name": f"Layer {self.name}", "hosts": "all", "gather_facts": False, "tasks": tasks}])


@dataclass(frozen=True)
class Configuration:
    """Layers in order."""

    name: str
    layers: tuple[Layer, ...]

    def document(self) -> str:
        layers = [
            {"name": one.name, "cloneUrl": f"../{LAYERS}.git", "branch": one.edition, "playbook": one.playbook} for one in self.layers
        ]
        return _document("Configuration", self.name, {"layers": layers})


@dataclass(frozen=True)
class Fleet:
    """Components that shall have one configuration; *prefix* and numbers make their ids."""

    name: str
    prefix: str
    first: int
    last: int
    configuration: Configuration

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(f"{self.prefix}{number:02d}" for number in range(self.first, self.last + 1))

    def document(self, addresses: Mapping[str, str]) -> str:
        spec = {
            "ids": [f"{self.prefix}[{self.first:02d}-{self.last:02d}]"],
            "desiredConfiguration": self.configuration.name,
            "groups": [self.name],
            "hosts": {host: {"ansible_host": addresses[host]} for host in self.hosts},
        }
        return _document("Components", self.name, spec)


@dataclass(frozen=True)
class Commit:
    """What one commit declares."""

    services: tuple[Service, ...]
    fleets: tuple[Fleet, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(host for fleet in self.fleets for host in fleet.hosts)

    def service(self, name: str) -> Service:
        return next(one for one in self.services if one.name == name)

    def of(self, type_: str) -> tuple[Service, ...]:
        return tuple(one for one in self.services if one.type == type_)

    def layers(self, host: str) -> tuple[Layer, ...]:
        return next(fleet.configuration.layers for fleet in self.fleets if host in fleet.hosts)


@dataclass(frozen=True)
class Town:
    """Everything that a seed stands for."""

    seed: int
    dns: str
    ttl: int
    team: str
    zones: tuple[str, ...]
    batch: int
    commits: tuple[Commit, ...]

    @property
    def addresses(self) -> dict[str, str]:
        """Every host that some commit declares, with the address that the lab gives the n-th."""
        network, hosts = layout.HOSTS.rpartition(".")[0], dict.fromkeys(host for commit in self.commits for host in commit.hosts)
        return {host: f"{network}.{number}" for number, host in enumerate(hosts, start=1)}

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(layer for commit in self.commits for fleet in commit.fleets for layer in fleet.configuration.layers)

    @property
    def editions(self) -> tuple[str, ...]:
        """The branches that layers are taken from, in the order in which they are made."""
        return tuple(dict.fromkeys((EDITIONS[0], *(layer.edition for layer in self.layers))))

    def fqdn(self, member: str) -> str:
        return f"{member}.{self.dns}"

    def files(self, commit: Commit) -> dict[str, str]:
        """The config repository as *commit* has it."""
        folder = f"specs/{ENVIRONMENT}"
        named = {f"{folder}/environment.yaml": self._environment()}
        named |= {f"{folder}/services/{one.name}.yaml": one.document() for one in commit.services}
        named |= {f"{folder}/fleets/{one.name}.yaml": one.document(self.addresses) for one in commit.fleets}
        configurations = "---\n".join(one.configuration.document() for one in commit.fleets)
        return {**named, f"{folder}/configurations.yaml": configurations}

    def playbooks(self, edition: str) -> dict[str, str]:
        """The layers' repository on the branch *edition*."""
        return {layer.playbook: layer.text(edition) for layer in self.layers}

    def runs(self, host: str, *commits: Commit) -> Counter[str]:
        """How often each layer has to have run on *host* once *commits* were applied one after the other."""
        found: Counter[str] = Counter()
        for commit in (one for one in commits if host in one.hosts):
            for layer in commit.layers(host):
                word = f"{layer.name} {layer.edition}"
                failures = layer.times if (layer.host, layer.edition) == (host, EDITIONS[0]) else 0
                found[word] = 1 + failures  # unchanged by a later commit, it is not run again
        return found

    def _environment(self) -> str:
        spec = {
            "zones": list(self.zones),
            "aws": {"tags": {"team": self.team}},
            "dns": {"zone": self.dns, "ttl": f"{self.ttl}s"},
            "guard": {"maxDeletes": 0, "maxDeletePercent": 90},
            "sessions": {
                "batchSize": self.batch,
                "retryPolicy": 4,
                "ssh": {"user": "root", "keySecret": "ansible-ssh", "knownHostsSecret": "ansible-known-hosts"},
            },
        }
        return _document("Environment", ENVIRONMENT, spec)


def generate(seed: int) -> Town:
    """The town of *seed*, always the same."""
    draw = random.Random(seed)
    words = draw.sample(_WORDS, len(_WORDS))
    zones = tuple(draw.sample(layout.ZONES, len(layout.ZONES)))
    services = _services(draw, words, zones)
    fleets = tuple(_fleets(draw, words))
    grown = tuple(replace(fleet, last=fleet.last + draw.randint(0, 2)) for fleet in fleets)
    return Town(
        seed=seed,
        dns=f"{words.pop()}.internal",
        ttl=draw.randint(3, 9),
        team=words.pop(),
        zones=zones,
        batch=draw.randint(8, 25),
        commits=(
            Commit(services, fleets),
            Commit(_later(draw, words, zones, services), tuple(_upgraded(draw, fleet) for fleet in grown)),
        ),
    )


def _services(draw: random.Random, words: list[str], zones: tuple[str, ...]) -> tuple[Service, ...]:
    """Two to five, with a Redis among them and at most one ensemble of three ZooKeepers: a JVM each on two cores."""
    kinds = ["redis", *draw.choices(("redis", "zookeeper", "generic"), weights=(3, 2, 3), k=draw.randint(1, 4))]
    draw.shuffle(kinds)
    return tuple(_service(draw, words.pop(), kind, zones, many=kinds.index(kind) == place) for place, kind in enumerate(kinds))


def _service(draw: random.Random, name: str, kind: str, zones: tuple[str, ...], *, many: bool) -> Service:
    """*many*: the first of its type, which has more than one member."""
    own = draw.random() < 0.4
    replicas = 3 if kind == "zookeeper" and many else 1 if kind == "zookeeper" else draw.randint(2, 3) if many else draw.randint(1, 2)
    return Service(
        name=f"{name}{draw.choice(('', '-x', '7', '-db'))}",
        type=kind,
        replicas=replicas,
        size=draw.randint(2, 40),
        zones=tuple(draw.sample(zones, draw.randint(1, 3))) if own else zones,
        own_zones=own,
        addresses=draw.choice(("none", "private")) if kind != "redis" or not many else "none",
        volume="data" if kind != "generic" else draw.choice(("store", "state", "disk")),
        options=_options(draw, kind) | ({"auth": True} if kind == "redis" and many else {}),
        text=f"{name}-{draw.randint(100, 999)}",
        port=draw.randint(7000, 7999),
    )


def _options(draw: random.Random, kind: str) -> dict[str, Any]:
    if kind == "redis":
        return {"maxmemory": f"{draw.randint(16, 96)}Mi", "maxmemoryPolicy": draw.choice(("noeviction", "allkeys-lru", "volatile-ttl"))}
    return {"heap": f"{draw.randint(48, 96)}Mi", "tickTime": draw.choice((1000, 2000))} if kind == "zookeeper" else {}


def _later(draw: random.Random, words: list[str], zones: tuple[str, ...], before: tuple[Service, ...]) -> tuple[Service, ...]:
    """The second commit's: one is gone, one is new, the others have changed."""
    redises = [one for one in before if one.type == "redis"]
    gone = draw.choice([one for one in before if one is not redises[0]])
    kept = [_changed(draw, one) for one in before if one is not gone]
    new = _service(draw, words.pop(), draw.choice(("redis", "generic")), zones, many=draw.random() < 0.5)
    return (*kept, new)


def _changed(draw: random.Random, service: Service) -> Service:
    grown = replace(service, size=service.size + draw.randint(0, 5))
    if service.type == "zookeeper":
        return grown
    step = draw.choice((-1, 1)) if service.replicas > 1 else 1
    more = replace(grown, replicas=service.replicas + step)
    return (
        replace(more, text=f"{service.text}b")
        if service.type == "generic"
        else replace(more, options={**more.options, **_options(draw, "redis")})
    )


def _fleets(draw: random.Random, words: list[str]) -> Iterator[Fleet]:
    """One or two, 12 to 36 components together (the second commit may add four); each has one layer that fails on one host."""
    total, many = draw.randint(12, 36), draw.random() < 0.6
    sizes = [total - (share := draw.randint(4, total - 4)), share] if many else [total]
    for size in sizes:
        prefix, first = f"{words.pop()}{draw.choice(('', '-'))}", draw.randint(0, 40)
        fleet = Fleet(words.pop(), prefix, first, first + size - 1, Configuration(words.pop(), ()))
        names = [words.pop() for _ in range(draw.randint(1, 3))]
        bad, host = draw.choice(names), draw.choice(fleet.hosts)
        copied = draw.choice(names)
        layers = (
            Layer(name, host if name == bad else "", draw.randint(1, 2) if name == bad else 0, copies=name == copied) for name in names
        )
        yield replace(fleet, configuration=replace(fleet.configuration, layers=tuple(layers)))


def _upgraded(draw: random.Random, fleet: Fleet) -> Fleet:
    """With one layer taken from the other branch."""
    chosen = draw.randrange(len(fleet.configuration.layers))
    layers = (replace(layer, edition=EDITIONS[1]) if number == chosen else layer for number, layer in enumerate(fleet.configuration.layers))
    return replace(fleet, configuration=replace(fleet.configuration, layers=tuple(layers)))


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> str:
    return _dump({"apiVersion": "reconciler/v1", "kind": kind, "metadata": {"name": name}, "spec": dict(spec)})


def _dump(value: Any) -> str:
    text = io.StringIO()
    writer = YAML(typ="safe")
    writer.default_flow_style = False
    writer.dump(value, text)
    return text.getvalue()
