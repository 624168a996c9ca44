"""MongoDB: a replica set of an odd number of voters, in which nobody gets in without a password, from the first start on.

    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: documents}
    spec:
      type: mongodb
      version: "8.0"
      replicas: 3
      resources: {limits: {memory: 4Gi}}
      volumes: {data: {size: 100Gi}, journal: {size: 10Gi}}
      options: {cacheSize: 1Gi}

The set is named after the service, and its members know each other by their names. It is founded, grows and shrinks by one member at a
time, and is ready once each member refuses strangers and takes the password of the user `admin`. That password is made once and lies in
the Secret `<service>-auth`, key `password`; `options.password` names another Secret instead. The keyfile by which members know each other
lies in the Secret `<service>-keyfile`. The optional volume `journal` takes WiredTiger's journal. Of more than seven members seven vote.

`rotation: 1` (2, 3 … later on) exchanges the admin's password once all members have restarted, and the keyfile's keys, of which a member
then takes two: that of its own generation and the one before, so that members of neighbouring generations know each other. A key is
refused from the second rotation on.

With `options.role` the set is part of a sharded cluster (`stacks/mongos.py` has a whole one): `configServer`, or `shard`, which names the
service of its config servers in `dependsOn` and has their keyfile. Such a set listens at a port of its role and has no users of its own:
those of the cluster are made through its routers, and lie with the config servers. A set keeps the role that it was begun with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.kinds import Check, ServiceType
from reconciler.model.document import Part, Positive, SecretRef
from reconciler.model.environment import Environment
from reconciler.model.initialise import LOOK, Generated, Initialisation, Next, Rotation, Said, Script
from reconciler.model.quantity import GIB, Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import member, rotation, rules, workload
from stacks import _mongo as mongo
from stacks import _mongosh as mongosh

MEMBERS, VOTERS = 50, 7  # https://www.mongodb.com/docs/manual/reference/limits/#replica-sets
_PATHS = {"data": "/data/db", "journal": "/data/db/journal"}
_KEY_LENGTH = 756  # characters of a key, which is base64
_CLUSTER_ROLES = {"configServer": "configsvr", "shard": "shardsvr"}  # as mongod.conf calls them
_RESERVED = {"admin", "config", "local"}  # what no shard can be called
_SMALLEST_CACHE = 256 * 2**20
_STOPS_WITHIN = 60  # seconds: a primary hands over, and what is in memory is written
_PATIENCE = 300  # seconds for asking fifty members, some of whom are slow


class Options(Part):
    """What mongod.conf says beside names and places."""

    cache_size: Quantity | None = None  # WiredTiger's; by default half of what the memory's limit has beyond 1Gi, and 256Mi at least
    password: SecretRef | None = None  # of the user admin, in the service's namespace; without it one is made
    role: mongo.Role | None = None  # in a sharded cluster; without one the set is by itself
    shards: Positive = 1  # a set is one: a cluster of several is several services


def _options(service: Service) -> Options:
    return Options.model_validate(service.options)


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    config = mongo.yaml(_config(service))
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts={name: path for name, path in _PATHS.items() if name in service.volumes},
            files={"mongod.conf": config},
            signature=config,
            ports={"mongodb": _port(service)},
            secrets=_mounted(service),
            preparing=(mongo.own_keyfile(service, two=bool(service.rotation)),),
            grace=_STOPS_WITHIN,
            begun=_begun(service),
        ),
    )


def _port(service: Service) -> int:
    return mongo.PORTS[mongo.role(service)]


def _begun(service: Service) -> dict[str, str]:
    """Other members take another role for another server, and a shard's data says of which cluster it is."""
    role, parent = mongo.role(service), mongo.config_servers(service)
    return {"role": f"{role} of {parent.service.name}" if parent and role == "shard" else role} if role else {}


def _container(service: Service) -> dict[str, Any]:
    own = ["--bind_ip", "$(FQDN)"] if member.has_interface(service) else []
    return {
        "name": "mongodb",
        "image": mongo.image(service),
        "args": ["mongod", "--config", f"{workload.CONFIG_PATH}/mongod.conf", *own],
        "readinessProbe": workload.readiness(mongo.probe(_port(service))),
    }


def _config(service: Service) -> dict[str, Any]:
    """mongod.conf; the same for all members, however many there are."""
    cache, role = _cache(service), mongo.role(service)
    return {
        "net": mongo.net(_port(service), own_address=member.has_interface(service)),
        "replication": {"replSetName": service.name},
        "security": {"authorization": "enabled", **mongo.security()},
        "setParameter": mongo.SETTINGS,
        **({"sharding": {"clusterRole": _CLUSTER_ROLES[role]}} if role else {}),
        "storage": {
            "dbPath": _PATHS["data"],
            **({"wiredTiger": {"engineConfig": {"cacheSizeGB": round(cache / GIB, 3)}}} if cache else {}),
        },
    }


def _cache(service: Service) -> int:
    """WiredTiger's cache in bytes; 0 where nothing says how much memory there is, which mongod then finds out by itself."""
    chosen, limit = _options(service).cache_size, service.resources.limits.get("memory")
    if chosen:
        return chosen.bytes
    # what mongod would take of a machine of that size: https://www.mongodb.com/docs/manual/core/wiredtiger/#memory-use
    return max((limit.bytes - GIB) // 2, _SMALLEST_CACHE) if limit else 0


# --- secrets


def _mounted(service: Service) -> dict[str, SecretRef]:
    if mongo.role(service):
        return {"keyfile": mongo.keyfile(_keyfile_owner(service))}
    password = _options(service).password or mongo.password(service)
    if not service.rotation:
        return {"keyfile": mongo.keyfile(service), "password": password}
    shared, own = (mongo.keyfile(service, service.rotation - n) for n in (1, 0))  # by the first Jobs and members come to whoever is there
    return {"keyfile": shared, "keyfile-next": own, "password": password}


def _keyfile_owner(service: Service) -> Service:
    """Who made the keyfile: of a shard, its config servers."""
    parent = mongo.config_servers(service) if mongo.role(service) == "shard" else None
    return parent.service if parent else service


def secrets(service: Service, _environment: Environment) -> tuple[Generated, ...]:
    """The keyfile, and the password of the user admin unless somebody else's is named; a shard has neither of its own."""
    options = _options(service)
    if options.role == "shard":
        return ()
    keys = dict.fromkeys((mongo.keyfile(service, max(service.rotation - 1, 0)).name, mongo.keyfile(service, service.rotation).name))
    keyfiles = tuple(Generated(name, {"keyfile": _KEY_LENGTH}) for name in keys)
    if options.role or options.password:
        return keyfiles
    return (*keyfiles, Generated(mongo.password(service).name, {"password": mongo.PASSWORD_LENGTH}))


def rotate(service: Service, _environment: Environment) -> Rotation | None:
    """Of a set by itself: a cluster's services restart each in their own time, and of two keys a third generation would know neither."""
    if mongo.role(service):
        return None
    passwords = () if _options(service).password else rotation.former(mongo.auth_name(service), service.rotation)
    return Rotation(None, (*passwords, *rotation.former(mongo.keyfile_name(service), max(service.rotation - 1, 0))))


# --- how it becomes a set


def initialise(service: Service, environment: Environment) -> Initialisation:
    """Founded by one member, then changed by one member at a time; users are made once there is a primary."""
    members = tuple((one.name, mongo.host(service, environment, one.name)) for one in member.members(service, environment))
    exchanged = bool(service.rotation and not _options(service).password)
    wanted = _Wanted(service.name, members, mongo.role(service), service.version, exchanged)
    look = Script(LOOK, mongosh.look(wanted.hosts, workload.SECRETS_PATH, users=wanted.has_users), _PATIENCE)
    return Initialisation(look, lambda said: _next(wanted, said), closed=True, meanwhile=lambda said: _admits(wanted, said))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The set as the spec has it: its members in their order, each with its host, its role in a sharded cluster, and its version.

    *exchanged*: the admin's password has been another one.
    """

    name: str
    members: tuple[tuple[str, str], ...]
    role: str
    version: str
    exchanged: bool = False

    @property
    def hosts(self) -> list[str]:
        return [host for _, host in self.members]

    @property
    def has_users(self) -> bool:
        """Those of a sharded cluster are its routers' to make: they lie with the config servers, and no shard asks for them."""
        return not self.role

    def founded(self) -> Script:
        config = {
            "_id": self.name,
            **({"configsvr": True} if self.role == "configServer" else {}),
            "members": [{"_id": n, "host": host, **_voting(int(n < VOTERS))} for n, host in enumerate(self.hosts)],
        }
        return Script("initiate the set", mongosh.initiate(self.hosts, workload.SECRETS_PATH, config))

    def changed(self, does: str, host: str, member: Mapping[str, Any] | None) -> Script:
        id = self.hosts.index(host) if host in self.hosts else 0
        return Script(does, mongosh.configure(self.hosts, workload.SECRETS_PATH, host, id, member))


def _voting(votes: int) -> dict[str, int]:
    """What the set's configuration says of a member that has *votes*: who has none cannot be primary."""
    return {"votes": votes, "priority": votes}


def _next(wanted: _Wanted, said: Said) -> Next:
    """What is to be done of what `mongosh.look` has found out: of each member its state, and who gets in of strangers and of the admin."""
    found = _found(wanted, said)
    states = {name: state for name, state, *_ in found}
    if lacking := _closed(found):
        return lacking
    if set(states.values()) == {"new"}:
        return wanted.founded()
    if "PRIMARY" not in states.values():
        return "the set has a primary"
    return _user(wanted, said, found) or _membership(wanted, said, states) or _access(wanted, found) or _features(wanted, said)


def _admits(wanted: _Wanted, said: Said) -> Next:
    """A set that grows takes its new members in whatever version the others run; users and features are for later."""
    found = _found(wanted, said)
    states = {name: state for name, state, *_ in found}
    if lacking := _closed(found):
        return lacking
    return _membership(wanted, said, states) if "PRIMARY" in states.values() else "the set has a primary"


def _found(wanted: _Wanted, said: Said) -> list[tuple[str, ...]]:
    return [(name, *one.split()) for (name, _), one in zip(wanted.members, said["members"], strict=True)]


def _closed(found: list[tuple[str, ...]]) -> str:
    for name, state, *stranger in found:
        if lacking := {"silent": "answers", "foreign": "takes the keyfile"}.get(state):
            return f"{name} {lacking}"
        if stranger[0] == "in":
            return f"{name} refuses strangers"
    return ""


def _user(wanted: _Wanted, said: Said, found: list[tuple[str, ...]]) -> Next:
    """The admin is made, or given the password that has come in place of another."""
    if wanted.has_users and not said["user"]:
        return Script(f"make the user {mongosh.ADMIN}", mongosh.user(wanted.hosts, workload.SECRETS_PATH))
    if wanted.exchanged and any(state == "PRIMARY" and admin == "out" for _, state, _, admin in found):
        return Script(f"give the user {mongosh.ADMIN} the new password", mongosh.password(wanted.hosts, workload.SECRETS_PATH))
    return None


def _membership(wanted: _Wanted, said: Said, states: Mapping[str, str]) -> Next:
    """The next change of the set, each of one member: who is no longer declared goes, a new one gets its vote once it has the data."""
    for host in said["others"]:
        return wanted.changed(f"take {host} out of the set", host, None)
    votes = {wanted.members[index]: bool(vote) for index, vote in said["set"]}
    for name, host in wanted.members[VOTERS:]:
        if votes.get((name, host)):
            return wanted.changed(f"take {name}'s vote", host, _voting(0))
    for name, host in wanted.members:
        if (name, host) not in votes:
            return wanted.changed(f"add {name} to the set", host, _voting(0))
    for name, host in wanted.members[:VOTERS]:
        if not votes[name, host]:
            if states[name] != "SECONDARY":
                return f"{name} has copied the set's data ({states[name]})"
            return wanted.changed(f"give {name} its vote", host, _voting(1))
    return None


def _access(wanted: _Wanted, found: list[tuple[str, ...]]) -> Next:
    for name, state, stranger, admin in found:
        if state not in ("PRIMARY", "SECONDARY"):
            return f"{name} is primary or secondary ({state})"
        if stranger != "out":
            return f"{name} refuses strangers"
        if wanted.has_users and admin != "in":
            return f"{name} takes the password of the user {mongosh.ADMIN}"
    return None


def _features(wanted: _Wanted, said: Said) -> Next:
    """Those of a sharded cluster are set through its routers, once all of its members run the version."""
    return mongo.finalised(wanted.hosts, wanted.version, said["features"]) if wanted.has_users else None


# --- who leads


def leader(service: Service, environment: Environment) -> Script:
    """The set's primary, whose restart stops writes until another is voted for."""
    names = [one.name for one in member.members(service, environment)]
    return Script(LOOK, mongosh.leader(_hosts(service, environment), workload.SECRETS_PATH, names), _PATIENCE)


def _hosts(service: Service, environment: Environment) -> list[str]:
    return [mongo.host(service, environment, one.name) for one in member.members(service, environment)]


def hand_over(service: Service, environment: Environment, leaders: tuple[str, ...]) -> Script | None:
    """The primary steps down once another has all that it has."""
    if service.replicas == 1:
        return None
    return _step_down(_hosts(service, environment), [mongo.host(service, environment, name) for name in leaders])


def drain(service: Service, environment: Environment, leaving: tuple[str, ...]) -> Initialisation:
    """Taken out of the set one at a time, so that the others are a majority of it whenever somebody goes."""
    going = {mongo.host(service, environment, name): name for name in leaving}
    hosts = [*_hosts(service, environment), *going]
    look = Script(LOOK, mongosh.drained(hosts, workload.SECRETS_PATH, list(going)), _PATIENCE)

    def decide(said: Said) -> Next:
        if not said["founded"]:
            return None
        if not said["primary"]:
            return "the set has a primary"
        if said["members"] and said["primary"] in going:
            return _step_down(hosts, list(going))
        if said["members"]:
            host = said["members"][0]
            return Script(f"take {going[host]} out of the set", mongosh.configure(hosts, workload.SECRETS_PATH, host, 0, None))
        return None

    return Initialisation(look, decide)


def _step_down(hosts: list[str], leaving: list[str]) -> Script:
    return Script("have the primary step down", mongosh.step_down(hosts, workload.SECRETS_PATH, leaving), _PATIENCE)


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    yield from _check_role(service)
    if service.replicas % 2 == 0:
        fewer, more = service.replicas - 1, service.replicas + 1
        yield "replicas", f"{service.replicas} members survive the loss of no more than {fewer} would", f"choose {fewer} or {more}"
    if service.replicas > MEMBERS:
        yield "replicas", f"a replica set has {MEMBERS} members at most", f"choose {MEMBERS - 1} or fewer"
    yield from rules.volumes(service, "MongoDB", ["data"], ["journal"])
    yield from _check_cache(service)


def _check_role(service: Service) -> Iterator[Check]:
    options = _options(service)
    if options.shards > 1:
        hint = "one of role: configServer, one of role: shard for each shard, and one of type mongos that depends on them all"
        yield "options.shards", "a replica set is one shard: a sharded cluster is several services", hint
    if options.role and options.password:
        why = "a set of a sharded cluster has no users of its own: those of the cluster are made through its routers"
        yield "options.password", why, "name it at the service of type mongos"
    if options.role == "shard":
        yield from mongo.in_cluster(service, ["configServer"])
        yield from mongo.order(service)
        if service.name in _RESERVED:
            yield "options.role", f"MongoDB has no shard of the name {service.name}", "call the service otherwise"


def _check_cache(service: Service) -> Iterator[Check]:
    chosen, limit, cache = _options(service).cache_size, service.resources.limits.get("memory"), _cache(service)
    if chosen and cache < _SMALLEST_CACHE:
        yield "options.cacheSize", f"{chosen} is less than 256Mi, which WiredTiger needs", "write a quantity such as 1Gi"
    if limit and cache >= limit.bytes:
        what = chosen or "its smallest cache, 256Mi,"
        yield "options.cacheSize", f"{what} leaves nothing of the limit of {limit} for MongoDB itself", "raise limits.memory"


SERVICE = ServiceType(
    name="mongodb",
    level="rendered",
    versions=("8.0", "7.0"),
    resources=resources,
    members=member.members,
    options=Options,
    check=check,
    remembers=lambda _: "the name of the replica set and its members' addresses",
    secrets=secrets,
    initialise=initialise,
    leader=leader,
    hand_over=hand_over,
    drain=drain,
    rotation=rotate,
    refills=member.refilled_by_majority,
    upgrades=mongo.UPGRADES,
)
