"""MongoDB's routers (`mongos`): a sharded cluster's front door. They keep nothing; its config servers and shards are services of their own.

    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: docs-config}
    spec:
      type: mongodb
      replicas: 3
      volumes: {data: {size: 10Gi}}
      options: {role: configServer}
    ---
    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: docs-a}
    spec:
      type: mongodb
      replicas: 3
      volumes: {data: {size: 100Gi}}
      dependsOn: [docs-config]
      options: {role: shard}
    ---
    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: docs-b}
    spec:
      type: mongodb
      replicas: 3
      volumes: {data: {size: 100Gi}}
      dependsOn: [docs-config]
      options: {role: shard}
    ---
    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: docs}
    spec:
      type: mongos
      version: "8.0"
      replicas: 2
      dependsOn: [docs-config, docs-a, docs-b]
      options: {password: {name: docs-root, key: password}}

`dependsOn` says what the cluster consists of: a shard that is added to it is added to the cluster, one that is taken out of it is drained,
its databases move to the shards that stay, and only then is it out: its own service goes then and not before, also where one commit
takes away both. All servers of the
cluster have the keyfile that its config servers made. The user `admin` is made through a router; its password is made once and lies in the
Secret `<service>-auth`, key `password`, unless `options.password` names another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reconciler.kinds import Check, ServiceType
from reconciler.model.document import Part, SecretRef
from reconciler.model.environment import Environment
from reconciler.model.initialise import LOOK, Generated, Initialisation, Next, Rotation, Said, Script
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import cloud, member, rotation, rules, workload
from stacks import _mongo as mongo
from stacks import _mongosh as mongosh

PORT = 27017
ROUTERS = 100  # each is asked by itself, one after the other, and a look has its time and 4 KiB for what they say
_PATIENCE = 300  # seconds for asking all routers, and for moving a database that is not large


class Options(Part):
    """What routers have of their own."""

    password: SecretRef | None = None  # of the user admin, in the service's namespace; without it one is made


def _password(service: Service) -> SecretRef | None:
    return Options.model_validate(service.options).password


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    config = _config(service, environment)
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts={},
            files={"mongos.conf": mongo.yaml(config), "shards": "".join(f"{address}\n" for _, address in _shards(service, environment))},
            signature=mongo.yaml({**config, "sharding": _set(service)}),  # of the config servers one tells of all
            ports={"mongodb": PORT},
            secrets=_mounted(service),
            preparing=(mongo.own_keyfile(service),),
        ),
    )


def _container(service: Service) -> dict[str, Any]:
    own = ["--bind_ip", "$(FQDN)"] if member.has_interface(service) else []
    return {
        "name": "mongos",
        "image": mongo.image(service),
        "args": ["mongos", "--config", f"{workload.CONFIG_PATH}/mongos.conf", *own],
        "readinessProbe": workload.readiness(mongo.probe(PORT)),
    }


def _config(service: Service, environment: Environment) -> dict[str, Any]:
    """mongos.conf. Who has a keyfile lets nobody in without a password; a router has no setting of its own for that."""
    servers = mongo.config_servers(service)
    return {
        "net": mongo.net(PORT, own_address=member.has_interface(service)),
        "security": mongo.security(),
        "setParameter": mongo.SETTINGS,
        "sharding": {"configDB": mongo.address(servers, environment) if servers else ""},
    }


def _set(service: Service) -> dict[str, str]:
    servers = mongo.config_servers(service)
    return {"configDB": servers.service.name if servers else ""}


def _shards(service: Service, environment: Environment) -> list[tuple[str, str]]:
    """The shards by name, each with its address. They stand in a file that no router reads: so a plan shows who joins and who leaves."""
    return [(one.service.name, mongo.address(one, environment)) for _, one in mongo.parents(service, "shard")]


def _mounted(service: Service) -> dict[str, SecretRef]:
    servers = mongo.config_servers(service)
    password = _password(service) or mongo.password(service)
    return {"keyfile": mongo.keyfile(servers.service if servers else service), "password": password}


def secrets(service: Service, _environment: Environment) -> tuple[Generated, ...]:
    """The password of the user admin, unless somebody else's is named; the keyfile is the config servers'."""
    return () if _password(service) else (Generated(mongo.password(service).name, {"password": mongo.PASSWORD_LENGTH}),)


def rotate(service: Service, _environment: Environment) -> Rotation | None:
    """The admin's password is exchanged once all routers have restarted; none of them needs it."""
    return None if _password(service) else Rotation(None, rotation.former(mongo.auth_name(service), service.rotation))


# --- how it becomes a cluster


def initialise(service: Service, environment: Environment) -> Initialisation:
    """The user is made, then shards come in, one at a time, and then those go, one at a time, that are no longer declared."""
    hosts = {one.name: f"{cloud.fqdn(environment, one.name)}:{PORT}" for one in member.members(service, environment)}
    exchanged = bool(service.rotation and not _password(service))
    wanted = _Wanted(hosts, dict(_shards(service, environment)), mongo.is_whole(service), service.version, exchanged)
    look = Script(LOOK, mongosh.look_routers(wanted.at, workload.SECRETS_PATH, list(wanted.shards)), _PATIENCE)
    return Initialisation(look, lambda said: _next(wanted, said), closed=True)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The cluster as the spec has it: routers and shards by name. *whole*: nothing is wrong with any document that it is declared by.

    *exchanged*: the admin's password has been another one.
    """

    routers: dict[str, str]
    shards: dict[str, str]
    whole: bool
    version: str
    exchanged: bool = False

    @property
    def at(self) -> list[str]:
        return list(self.routers.values())

    def added(self, name: str) -> Script:
        return Script(f"add the shard {name}", mongosh.add_shard(self.at, workload.SECRETS_PATH, name, self.shards[name]))

    def removed(self, name: str, staying: list[str]) -> Script:
        return Script(f"drain the shard {name}", mongosh.remove_shard(self.at, workload.SECRETS_PATH, name, staying), _PATIENCE)


def _next(wanted: _Wanted, said: Said) -> Next:
    """What is to be done of what `mongosh.look_routers` has found out: of each router who gets in, and of the cluster its shards."""
    found = dict(zip(wanted.routers, (one.split() for one in said["routers"]), strict=True))
    for name, (stranger, *_) in found.items():
        if lacking := {"silent": "answers", "foreign": "takes the keyfile", "in": "refuses strangers"}.get(stranger):
            return f"{name} {lacking}"
    if not said["user"]:
        return Script(f"make the user {mongosh.ADMIN}", mongosh.user(wanted.at, workload.SECRETS_PATH))
    if wanted.exchanged and all(admin == "out" for _, admin, _ in found.values()):
        return Script(f"give the user {mongosh.ADMIN} the new password", mongosh.password(wanted.at, workload.SECRETS_PATH))
    return _shard(wanted, said) or _access(found) or mongo.finalised(wanted.at, wanted.version, said["features"])


def _shard(wanted: _Wanted, said: Said) -> Next:
    """The next change of the cluster. First come who are to come, since what others have needs a place; then go who are to go.

    A drain that was begun cannot be called off: who is wanted again meanwhile goes first, and comes anew.
    """
    names = list(wanted.shards)
    drains = {**{names[index]: bool(one) for index, one in said["shards"]}, **{name: bool(one) for name, one in said["others"]}}
    for name in names:
        if name not in drains:
            return wanted.added(name)
    going = sorted((name for name in drains if drains[name] or name not in names), key=lambda name: not drains[name])
    if not going:
        return None
    if not wanted.whole:
        return f"nothing is wrong with the documents of all shards: only then {going[0]} is drained"
    declared = [name for name in names if not drains[name]]
    return wanted.removed(going[0], declared or [name for name in drains if not drains[name]])


def _access(found: dict[str, list[str]]) -> Next:
    for name, (stranger, admin, lacking) in found.items():
        if stranger != "out":
            return f"{name} refuses strangers"
        if admin != "in":
            return f"{name} takes the password of the user {mongosh.ADMIN}"
        if lacking != "0":
            return f"{name} knows all shards"
    return None


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    yield from rules.volumes(service, "a router")
    if service.replicas > ROUTERS:
        yield "replicas", f"a cluster has {ROUTERS} routers at most", f"choose {ROUTERS} or fewer"
    yield from mongo.in_cluster(service, ["configServer", "shard"])
    yield from mongo.order(service)
    shards, servers = mongo.parents(service, "shard"), mongo.parents(service, "configServer")
    if not mongo.is_whole(service):
        return
    if not shards:
        yield "dependsOn", "a cluster has a shard at least", "name a service of type mongodb with options: {role: shard}"
    for index, one in shards:
        of = one.service.depends_on
        if servers and service.depends_on[servers[0][0]] not in of:
            why = f"{one.service.name} is a shard of {', '.join(of) or 'nobody'}, not of {servers[0][1].service.name}"
            yield f"dependsOn.{index}", why, "a cluster's shards and routers name the same config servers"


SERVICE = ServiceType(
    name="mongos",
    level="rendered",
    versions=("8.0", "7.0"),
    resources=resources,
    members=member.members,
    options=Options,
    check=check,
    secrets=secrets,
    initialise=initialise,
    rotation=rotate,
    holds=frozenset({"mongodb"}),  # a shard that is not drained yet
    upgrades=mongo.UPGRADES,
)
