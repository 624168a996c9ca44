"""Redis: member 0 is the primary, the others are its replicas; or a cluster of shards. Each keeps its data on a volume of its own.

    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: cache}
    spec:
      type: redis
      version: "8.0"
      replicas: 3
      volumes: {data: {size: 10Gi}}
      options: {auth: true, maxmemory: 512Mi, maxmemoryPolicy: allkeys-lru}

With `auth: true` every connection needs a password, and the service is ready only once each member refuses those without. It is made once
and lies in the Secret `<service>-auth`, key `password`; `options.password` names another Secret instead. Turn it on when the service is
made, or while it is `stopped`: a replica that has the password cannot follow a primary that has none yet. Without it, security groups or
network policies have to say who may connect.

`rotation: 1` (2, 3 … later on) asks for another password that was made for it: it lies in `<service>-auth-1`, every member takes it beside
the former one, then one after the other restarts with the new one alone, and once each refuses the former one its Secret goes.

With `shards: 3` the members are a Redis Cluster: member n belongs to shard n mod 3, primaries are voted for, and clients have to speak the
cluster's protocol. Another number of shards for a service that has data is refused by what it says of itself, not moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from reconciler.kinds import Check, MemberPlan, ServiceType
from reconciler.model.document import Flag, Part, Positive, SecretRef
from reconciler.model.environment import Environment
from reconciler.model.initialise import LOOK, Generated, Initialisation, Next, Rotation, Said, Script
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import cloud, login, member, rotation, workload
from stacks import _redis_cluster, _redis_rotation

PORT = 6379
_BUS = 10000  # a cluster's own port is so much higher
_PASSWORD = f"{workload.SECRETS_PATH}/password"
_FORMER = f"{workload.SECRETS_PATH}/former"
_AUTH = f"{workload.OWN_PATH}/auth.conf"
_LENGTH = 32  # characters of a password: 190 bits
_STOPS_WITHIN = 60  # seconds: a last save of a large data set
_GRACE = 10  # seconds beside repl-timeout that a replica may take to be linked again


class Options(Part):
    """What redis.conf says beside names and places."""

    maxmemory: Quantity | None = None
    maxmemory_policy: Literal[
        "noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"
    ] = "noeviction"
    appendonly: Flag = True
    appendfsync: Literal["always", "everysec", "no"] = "everysec"
    auth: Flag = False
    password: SecretRef | None = None  # in the service's namespace; without it one is made
    shards: Annotated[int, Field(strict=True, ge=3, le=100)] | None = None  # fewer cannot vote for a new primary
    node_timeout: Positive = 5  # seconds until members of a cluster take one that is silent for failed
    repl_timeout: Positive = 20  # seconds until a replica lets go of a primary that is gone without a word, and asks for its name again


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    plan = members(service, environment)
    files = {f"{one.name}.conf": _config(service, environment, one.ordinal) for one in plan}
    ready = _ready_in_cluster(service) if _options(service).shards else _ready(service)
    files |= {"ready.sh": ready, "replicas": str(service.replicas - 1)}  # not of the signature: nobody restarts for a count
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts={"data": "/data"} if "data" in service.volumes else {},
            files=files,
            signature=[_config(service, environment, ordinal) for ordinal in (0, 1)],  # a primary's and a replica's, however many there are
            ports={"redis": PORT, **({"bus": PORT + _BUS} if _options(service).shards else {})},
            secrets=_mounted(service),
            former=_former(service),
            preparing=(_authentication(service),) if _has_password(service) else (),
            grace=_STOPS_WITHIN,
        ),
        plan,
    )


def members(service: Service, environment: Environment) -> tuple[MemberPlan, ...]:
    """In a cluster the zones of a shard's members differ: the second of each begins one zone on."""
    plan, shards = member.members(service, environment), _options(service).shards
    if not shards:
        return plan
    zones = service.zones or environment.zones
    turned = {one.name: zones[(one.ordinal % shards + one.ordinal // shards) % len(zones)] for one in plan}
    return tuple(replace(one, zone=service.pinned.get(one.name, turned[one.name])) for one in plan)


def _container(service: Service) -> dict[str, Any]:
    return {
        "name": "redis",
        "image": f"redis:{service.version}",
        "args": ["redis-server", f"{workload.CONFIG_PATH}/$(MEMBER).conf"],
        "readinessProbe": workload.readiness(f". {workload.CONFIG_PATH}/ready.sh"),
    }


def _options(service: Service) -> Options:
    return Options.model_validate(service.options)


def _has_password(service: Service) -> bool:
    return _options(service).auth


def _login(service: Service) -> str:
    """The line of a script that lets redis-cli in."""
    return f"export REDISCLI_AUTH=$(<{_PASSWORD})\n" if _has_password(service) else ""


def _mounted(service: Service) -> dict[str, SecretRef]:
    """Where the password comes from."""
    made = rotation.name(_auth_name(service), service.rotation)
    own = _options(service).password or SecretRef(name=made, key="password")
    return {"password": own} if _has_password(service) else {}


def _former(service: Service) -> dict[str, SecretRef]:
    """Where the password before comes from, for looks and steps alone."""
    if not service.rotation or not _is_rotatable(service):
        return {}
    return {"former": SecretRef(name=rotation.name(_auth_name(service), service.rotation - 1), key="password")}


def _is_rotatable(service: Service) -> bool:
    """Whether the password is ours to change."""
    options = _options(service)
    return options.auth and not options.password


def _auth_name(service: Service) -> str:
    return f"{service.name}-auth"


def secrets(service: Service, _environment: Environment) -> tuple[Generated, ...]:
    """The password, unless somebody else's is named."""
    if not _has_password(service) or _options(service).password:
        return ()
    return (Generated(rotation.name(_auth_name(service), service.rotation), {"password": _LENGTH}),)


def rotate(service: Service, environment: Environment) -> Rotation | None:
    if not _is_rotatable(service):
        return None
    names = {one.name: cloud.fqdn(environment, one.name) for one in members(service, environment)}
    before = _redis_rotation.before(names, PORT, workload.SECRETS_PATH)
    return Rotation(before, rotation.former(_auth_name(service), service.rotation))


def _authentication(service: Service) -> dict[str, Any]:
    """What redis.conf includes: written in the Pod's memory, so that no password lies in a ConfigMap or on a command line."""
    script = f"""\
umask 077
password=$(sed 's/["\\\\]/\\\\&/g' {_PASSWORD})
printf 'requirepass "%s"\\nmasterauth "%s"\\n' "$password" "$password" > {_AUTH}
if id redis > /dev/null 2>&1; then chown redis {_AUTH}; fi  # as whom the image's entrypoint starts the server
"""
    return workload.own_files("authentication", f"redis:{service.version}", script)


def initialise(service: Service, environment: Environment) -> Initialisation | None:
    """A cluster is put together. Beside that nothing has to be done; but that nobody gets in without the password has to be seen."""
    shards = _options(service).shards
    if not shards and not _has_password(service):
        return None
    cluster, names, login = _cluster(service, environment), _names(service, environment), _login(service)
    access = _access(names, rotated=bool(service.rotation)) if login else ""
    look = f"{cluster.look.text if cluster else 'cluster={}'}\n{access or 'access={}'}"
    text = f'{look}\nsay "{{\\"cluster\\": $cluster, \\"access\\": $access}}"\n'

    def decide(said: Said) -> Next:
        lacking = cluster.next(said["cluster"]) if cluster else None
        return lacking or (_next(said["access"], list(names)) if login else None)

    meanwhile = (lambda said: cluster.next(said["cluster"])) if cluster else None
    return Initialisation(Script(LOOK, text), decide, of_pods=bool(shards), closed=bool(login), meanwhile=meanwhile)


def _names(service: Service, environment: Environment) -> dict[str, str]:
    return {one.name: cloud.fqdn(environment, one.name) for one in members(service, environment)}


def _cluster(service: Service, environment: Environment) -> _redis_cluster.Cluster | None:
    shards = _options(service).shards
    former = _FORMER if _former(service) else ""
    return _redis_cluster.Cluster(_names(service, environment), shards, PORT, _login(service), former) if shards else None


def leader(service: Service, environment: Environment) -> Script | None:
    """A cluster's primaries are voted for. Beside that it is member 0, which comes last in any case."""
    cluster = _cluster(service, environment)
    return cluster.leading if cluster else None


def hand_over(service: Service, environment: Environment, leaders: tuple[str, ...]) -> Script | None:
    """A replica takes over with all that its primary has, before that is restarted: no vote, and nobody waits for one."""
    cluster = _cluster(service, environment)
    return cluster.hand_over(leaders) if cluster else None


def drain(service: Service, environment: Environment, leaving: tuple[str, ...]) -> Initialisation | None:
    """A cluster's members are forgotten once they lead no more; replicas beside that may go at any time."""
    cluster = _cluster(service, environment)
    return cluster.drain({name: cloud.fqdn(environment, name) for name in leaving}) if cluster else None


def _access(names: Mapping[str, str], *, rotated: bool) -> str:
    """Has `access` say of each member whether it lets in who has no password, who has it, and who has the one before."""
    late = f'[[ -s {_FORMER} && $(REDISCLI_AUTH=$(<{_FORMER}) ping "$2") == PONG ]]'
    former = f"  if {late}; then how=former; fi\n" if rotated else ""
    asked = "".join(f"enter {name} {fqdn}\n" for name, fqdn in names.items())
    return f"""\
password=$(<{_PASSWORD}) access=
ping() {{ timeout 5 redis-cli --no-auth-warning -h "$1" -p {PORT} ping 2>&1; }}
enter() {{
  case $(unset REDISCLI_AUTH; ping "$2") in
    PONG) how=open ;;
    NOAUTH*) [[ $(REDISCLI_AUTH=$password ping "$2") == PONG ]] && how=closed || how=wrong ;;
    *) how=silent ;;
  esac
{former}  access+="${{access:+, }}\\"$1\\": \\"$how\\""
}}
{asked}access="{{$access}}"
"""


def _next(said: Said, names: list[str]) -> Next:
    lacks = {
        "open": "refuses who has no password",
        "wrong": "takes the password",
        "silent": "answers",
        "former": "refuses the former password",
    }
    return next((f"{name} {lacks[how]}" for name in names if (how := said.get(name, "silent")) in lacks), None)


def _config(service: Service, environment: Environment, ordinal: int) -> str:
    """redis.conf of one member. Names, not addresses, are what members know of each other: addresses change."""
    options = _options(service)
    own = cloud.fqdn(environment, f"{service.name}-{ordinal}")
    settings: dict[str, Any] = {
        "port": PORT,
        "protected-mode": "no",
        "dir": "/data",
        "appendonly": _word(on=options.appendonly),
        "appendfsync": options.appendfsync,
        "maxmemory": options.maxmemory.bytes if options.maxmemory else 0,
        "maxmemory-policy": options.maxmemory_policy,
        "repl-timeout": options.repl_timeout,
        "repl-ping-replica-period": max(1, options.repl_timeout // 4),
        "replica-announce-ip": own,
    }
    if member.has_interface(service):
        settings |= {"bind": own, "bind-source-addr": own}
    if options.shards:
        settings |= _redis_cluster.settings(own, options.node_timeout)
    if options.auth:
        settings["include"] = _AUTH
    if ordinal and not options.shards:
        settings["replicaof"] = f"{cloud.fqdn(environment, f'{service.name}-0')} {PORT}"
    return "".join(f"{name} {value}\n" for name, value in settings.items())


def _ready(service: Service) -> str:
    """A replica is ready while it follows its primary: without it, it tells what was true once.

    A primary that has just started waits for its replicas, which may still ask for it where it was, up to repl-timeout; no longer, so
    that a replica that is down keeps no primary from its clients.
    """
    options = _options(service)
    return f"""\
{_login(service)}said=$(printf 'ping\\ninfo server replication\\n' | redis-cli -h "$FQDN" -p {PORT} | tr -d '\\r')
field() {{ sed -n "s/^$1://p" <<<"$said"; }}
no() {{ echo "$1" >&2; exit 1; }}
[[ $said == PONG* ]] || no "${{said:-no answer}}"
if [[ $(field role) == slave ]]; then
  [[ $(field master_link_status) == up ]] || no "not linked with $(field master_host)"
else
  linked=$(grep -c '^slave.*state=online' <<<"$said") replicas=$(<{workload.CONFIG_PATH}/replicas)
  ((linked >= replicas || $(field uptime_in_seconds) >= {options.repl_timeout + _GRACE})) || no "$linked of $replicas replicas linked"
fi
"""


def _ready_in_cluster(service: Service) -> str:
    """A member is ready while its cluster is well: each slot has a primary. A replica also follows its own."""
    return f"""\
{_login(service)}said=$(printf 'ping\\ncluster info\\ninfo replication\\n' | redis-cli -h "$FQDN" -p {PORT} | tr -d '\\r')
no() {{ echo "$1" >&2; exit 1; }}
[[ $said == PONG* ]] || no "${{said:-no answer}}"
grep -q '^cluster_state:ok' <<<"$said" || no "its cluster is not well"
grep -Eq '^(role:master|master_link_status:up)' <<<"$said" || no "not linked with its primary"
"""


def _word(*, on: bool) -> str:
    return "yes" if on else "no"


def refills(service: Service, _environment: Environment, lost: frozenset[str]) -> str:
    """A replica takes its data from the primary. A cluster's members know each other by ids that lie with their data."""
    if _options(service).shards:
        return "a cluster does not know a member again that has lost its part of it"
    primary = f"{service.name}-0"
    return f"{primary} is the primary: the others would follow it into an empty start" if primary in lost else ""


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    options = _options(service)
    yield from login.checks(service)
    if options.shards:
        yield from _check_shards(service, options.shards)
    for name in service.volumes:
        if name != "data":
            yield f"volumes.{name}", "redis has one volume, data", "remove it, or name it data"
    if options.appendonly and "data" not in service.volumes:
        yield "options.appendonly", "an append-only file needs a volume to lie on", "add volumes.data, or set appendonly: false"
    limit = service.resources.limits.get("memory")
    if options.maxmemory and limit and options.maxmemory.bytes >= limit.bytes:
        yield "options.maxmemory", f"{options.maxmemory} leaves nothing of the limit of {limit} for Redis itself", "raise limits.memory"


def _check_shards(service: Service, shards: int) -> Iterator[Check]:
    if service.replicas % shards:
        fewer = max(1, service.replicas // shards) * shards
        yield "replicas", f"{service.replicas} members cannot be {shards} shards of the same size", f"choose {fewer} or {fewer + shards}"
    if "data" not in service.volumes:
        yield "options.shards", "a member's part in a cluster has to lie on a volume", "add volumes: {data: {size: 10Gi}}"


SERVICE = ServiceType(
    name="redis",
    level="rendered",
    versions=("8.0", "8.2", "7.4", "7.2"),
    resources=resources,
    members=members,
    options=Options,
    check=check,
    remembers=lambda service: "its cluster's members, and would join them" if _options(service).shards else "",
    secrets=secrets,
    initialise=initialise,
    leader=leader,
    hand_over=hand_over,
    drain=drain,
    rotation=rotate,
    refills=refills,
)
