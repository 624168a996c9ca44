"""Redis: member 0 is the primary, the others are its replicas; each keeps its data on a volume of its own.

    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: cache}
    spec:
      type: redis
      version: "8.0"
      replicas: 3
      volumes: {data: {size: 10Gi}}
      options: {maxmemory: 512Mi, maxmemoryPolicy: allkeys-lru}

There is no password yet: who can reach port 6379 can use it, so security groups or network policies have to say who can.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from reconciler.kinds import Check, ServiceType
from reconciler.model.document import Flag, Part, Positive
from reconciler.model.environment import Environment
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import cloud, member, workload

PORT = 6379
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


def _config(service: Service, environment: Environment, ordinal: int) -> str:
    """redis.conf of one member. Names, not addresses, are what members know of each other: addresses change."""
    options = Options.model_validate(service.options)
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
    if ordinal:
        settings["replicaof"] = f"{cloud.fqdn(environment, f'{service.name}-0')} {PORT}"
    return "".join(f"{name} {value}\n" for name, value in settings.items())


def _ready(service: Service) -> str:
    """A replica is ready while it follows its primary: without it, it tells what was true once.

    A primary that has just started waits for its replicas, which may still ask for it where it was, up to repl-timeout; no longer, so
    that a replica that is down keeps no primary from its clients.
    """
    options = Options.model_validate(service.options)
    return f"""\
said=$(printf 'ping\\ninfo server replication\\n' | redis-cli -h "$FQDN" -p {PORT} | tr -d '\\r')
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
    options = Options.model_validate(service.options)
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
)
