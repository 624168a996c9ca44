"""Kafka Connect: workers that carry records between a Kafka cluster and other systems, and keep nothing of their own outside of it.

    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: log}
    spec:
      type: kafka
      replicas: 3
      volumes: {data: {size: 100Gi}}
    ---
    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: pipes}
    spec:
      type: kafka-connect
      replicas: 2
      dependsOn: [log]
      options: {heap: 1Gi, converter: json}

Its configuration names all brokers of its parent. More of them restart no worker, for one tells of all. Connectors are added through the
workers' own HTTP interface, plugins by an image of one's own (`podTemplate`) that has them in one of `options.pluginPath`.

To a parent with `auth: true` it logs in as its admin, and so do its connectors; both are in the same namespace, where the password lies.
Rendered, with no authentication of its own yet: who can reach port 8083 can read and change what the connectors do, passwords in them
included.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from reconciler.kinds import Check, MemberPlan, ServiceType
from reconciler.model.document import Distinct, Part, Positive
from reconciler.model.environment import Environment
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import cloud, file, login, member, parent, rules, workload
from stacks import _kafka_login

PORT = 8083
_PARENT, _PARENTS_PORT = "kafka", 9092
_CONVERTERS = {
    "json": "org.apache.kafka.connect.json.JsonConverter",
    "string": "org.apache.kafka.connect.storage.StringConverter",
    "bytes": "org.apache.kafka.connect.converters.ByteArrayConverter",
}
_MIB = 2**20
_COPIES = 3
_OWN = f"{workload.OWN_PATH}/worker.properties"
_USER = 1000  # of the image
_PREFIXES = ("", "producer.", "consumer.", "admin.")  # of the worker, and of what its connectors are given

Path = Annotated[str, Field(pattern=r"^/[^,\s]+$")]


class Options(Part):
    """What the workers' properties say beside names and places."""

    heap: Quantity = Quantity.parse("1Gi")
    converter: Literal["json", "string", "bytes"] = "json"
    plugin_path: Annotated[tuple[Path, ...], Distinct] = ("/opt/kafka/plugins",)
    replication_factor: Positive | None = None  # of its three topics; by default 3, or as many as there are brokers


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    plan, served = member.members(service, environment), _served(service)
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts={},
            files={f"{one.name}.properties": file.properties(_settings(service, environment, one)) for one in plan},
            signature=_common(service),
            ports={"http": PORT},
            secrets={"password": login.password(served)} if served else {},
            preparing=(_kafka_login.client(_image(service), environment, _OWN, _PREFIXES),) if served else (),
            group=_USER if served else None,
        ),
    )


def _served(service: Service) -> Service | None:
    """The parent, if it asks for a password."""
    found = parent.one(service, _PARENT)
    return found.service if found and login.options(found.service).auth else None


def _image(service: Service) -> str:
    return f"apache/kafka:{service.version}"


def _container(service: Service) -> dict[str, Any]:
    heap = Options.model_validate(service.options).heap.bytes // _MIB
    # the JVM forgets a broker's old address after as long as its record may be cached
    environment = {"KAFKA_HEAP_OPTS": f"-Xms{heap}m -Xmx{heap}m", "KAFKA_OPTS": "-Dsun.net.inetaddr.ttl=5"}
    return {
        "name": "connect",
        "image": _image(service),
        "command": ["/opt/kafka/bin/connect-distributed.sh", _OWN if _served(service) else f"{workload.CONFIG_PATH}/$(MEMBER).properties"],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "readinessProbe": workload.readiness(f'wget -q -T 4 -O /dev/null "http://$FQDN:{PORT}/health"'),
    }


def _settings(service: Service, environment: Environment, one: MemberPlan) -> dict[str, Any]:
    """The properties of one worker."""
    own = cloud.fqdn(environment, one.name)
    brokers = parent.hosts(parent.one(service, _PARENT), environment)
    return {
        "bootstrap.servers": ",".join(f"{host}:{_PARENTS_PORT}" for host in brokers),
        "client.id": one.name,
        "consumer.client.rack": one.zone,  # reads from the nearest copy, where the brokers allow it
        "listeners": f"http://{own}:{PORT}",
        "rest.advertised.host.name": own,
        "rest.advertised.port": PORT,
        **{f"{topic}.storage.replication.factor": _copies(service) for topic in ("config", "offset", "status")},
        **_common(service),
    }


def _common(service: Service) -> dict[str, Any]:
    options = Options.model_validate(service.options)
    return {
        "group.id": service.name,
        "key.converter": _CONVERTERS[options.converter],
        "value.converter": _CONVERTERS[options.converter],
        **{f"{topic}.storage.topic": f"{service.name}-{topic}" for topic in ("config", "offset", "status")},
        "plugin.path": ",".join(options.plugin_path),
    }


def _copies(service: Service) -> int:
    """How many of each of its topics, when they are made: later it changes nothing."""
    served = parent.one(service, _PARENT)
    return Options.model_validate(service.options).replication_factor or min(_COPIES, served.service.replicas if served else _COPIES)


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    yield from rules.volumes(service, "Kafka Connect")
    yield from parent.checks(service, {_PARENT})
    closed = _served(service)
    if closed and closed.namespace != service.namespace:
        why = f"the password of {closed.name} lies in the namespace {closed.namespace}, and Pods read Secrets of their own only"
        yield "namespace", why, f"choose {closed.namespace}"
    options, served = Options.model_validate(service.options), parent.one(service, _PARENT)
    yield from rules.heap(service, options.heap, Quantity.parse("256Mi"))
    if served and options.replication_factor and options.replication_factor > served.service.replicas:
        why = f"{served.service.name} has {served.service.replicas} brokers, which cannot hold {options.replication_factor} copies"
        yield "options.replicationFactor", why, "choose fewer, or leave it out"


SERVICE = ServiceType(
    name="kafka-connect",
    level="rendered",
    versions=("4.1.1", "4.1.0"),
    resources=resources,
    members=member.members,
    options=Options,
    check=check,
)
