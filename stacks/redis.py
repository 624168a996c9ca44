"""Redis: member 0 is the primary, the others are its replicas; each keeps its data on a volume of its own.

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
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from reconciler.kinds import Check, ServiceType
from reconciler.model.document import Flag, Part, Positive, SecretRef
from reconciler.model.environment import Environment
from reconciler.model.initialise import LOOK, Generated, Initialisation, Next, Said, Script
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import cloud, member, workload

PORT = 6379
_PASSWORD = f"{workload.SECRETS_PATH}/password"
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
    repl_timeout: Positive = 20  # seconds until a replica lets go of a primary that is gone without a word, and asks for its name again


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    plan = member.members(service, environment)
    files = {f"{one.name}.conf": _config(service, environment, one.ordinal) for one in plan}
    files |= {"ready.sh": _ready(service), "replicas": str(service.replicas - 1)}  # not of the signature: nobody restarts for a count
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts={"data": "/data"} if "data" in service.volumes else {},
            files=files,
            signature=[_config(service, environment, ordinal) for ordinal in (0, 1)],  # a primary's and a replica's, however many there are
            ports={"redis": PORT},
            secrets=_mounted(service),
            preparing=(_authentication(service),) if _has_password(service) else (),
            grace=_STOPS_WITHIN,
        ),
    )


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


def _mounted(service: Service) -> dict[str, SecretRef]:
    """Where the password comes from."""
    own = _options(service).password or SecretRef(name=_auth_name(service), key="password")
    return {"password": own} if _has_password(service) else {}


def _auth_name(service: Service) -> str:
    return f"{service.name}-auth"


def secrets(service: Service, _environment: Environment) -> tuple[Generated, ...]:
    """The password, unless somebody else's is named."""
    if not _has_password(service) or _options(service).password:
        return ()
    return (Generated(_auth_name(service), {"password": _LENGTH}),)


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
    """Nothing has to be done; but that nobody gets in without the password is only so once every member has said it."""
    if not _has_password(service):
        return None
    names = [one.name for one in member.members(service, environment)]
    asked = "".join(f"ask {name} {cloud.fqdn(environment, name)}\n" for name in names)
    text = f"""\
password=$(<{_PASSWORD}) said=
ping() {{ timeout 5 redis-cli --no-auth-warning -h "$1" -p {PORT} ping 2>&1; }}
ask() {{
  case $(ping "$2") in
    PONG) how=open ;;
    NOAUTH*) [[ $(REDISCLI_AUTH=$password ping "$2") == PONG ]] && how=closed || how=wrong ;;
    *) how=silent ;;
  esac
  said+="${{said:+, }}\\"$1\\": \\"$how\\""
}}
{asked}say "{{$said}}"
"""
    return Initialisation(Script(LOOK, text), lambda said: _next(said, names))


def _next(said: Said, names: list[str]) -> Next:
    lacks = {"open": "refuses who has no password", "wrong": "takes the password", "silent": "answers"}
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
    if options.auth:
        settings["include"] = _AUTH
    if ordinal:
        settings["replicaof"] = f"{cloud.fqdn(environment, f'{service.name}-0')} {PORT}"
    return "".join(f"{name} {value}\n" for name, value in settings.items())


def _ready(service: Service) -> str:
    """A replica is ready while it follows its primary: without it, it tells what was true once.

    A primary that has just started waits for its replicas, which may still ask for it where it was, up to repl-timeout; no longer, so
    that a replica that is down keeps no primary from its clients.
    """
    options = _options(service)
    login = f"export REDISCLI_AUTH=$(<{_PASSWORD})\n" if options.auth else ""
    return f"""\
{login}said=$(printf 'ping\\ninfo server replication\\n' | redis-cli -h "$FQDN" -p {PORT} | tr -d '\\r')
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


def _word(*, on: bool) -> str:
    return "yes" if on else "no"


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    options = _options(service)
    if options.password and not options.auth:
        yield "options.password", "nobody is asked for it", "add auth: true, or leave password out"
    for name in service.volumes:
        if name != "data":
            yield f"volumes.{name}", "redis has one volume, data", "remove it, or name it data"
    if options.appendonly and "data" not in service.volumes:
        yield "options.appendonly", "an append-only file needs a volume to lie on", "add volumes.data, or set appendonly: false"
    limit = service.resources.limits.get("memory")
    if options.maxmemory and limit and options.maxmemory.bytes >= limit.bytes:
        yield "options.maxmemory", f"{options.maxmemory} leaves nothing of the limit of {limit} for Redis itself", "raise limits.memory"


SERVICE = ServiceType(
    name="redis",
    level="rendered",
    versions=("8.0", "8.2", "7.4", "7.2"),
    resources=resources,
    members=member.members,
    options=Options,
    check=check,
    secrets=secrets,
    initialise=initialise,
)
