"""Telegraf: asks every member of the services that it depends on how it fares, and tells Prometheus, or InfluxDB as well.

    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: coordination}
    spec:
      type: zookeeper
      replicas: 3
      volumes: {data: {size: 10Gi}}
    ---
    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: gauges}
    spec:
      type: telegraf
      replicas: 1
      dependsOn: [coordination]
      options: {interval: 10s}

Its members share out whom they ask, so each is asked once; whoever is asked is named in the tags `service` and `member`, whatever its
address. Another number of members, of a parent or of its own, restarts them. It asks consul, logstash, opensearch, redis and zookeeper.

Rendered, no authentication yet: what it knows is to be had at port 9273, and it has no passwords for whom it asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any

from pydantic import Field

from reconciler.kinds import Check, ServiceType
from reconciler.model.document import Part, SecretRef
from reconciler.model.duration import Duration
from reconciler.model.environment import Environment
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.model.upgrades import Upgrades
from reconciler.resources import cloud, file, member, parent, rules, workload

PORT = 9273
_TOKEN = "INFLUX_TOKEN"  # noqa: S105 - a variable's name
_INPUTS: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {  # of a parent's type: the plugin, and what it is told of one member
    "consul": ("consul", lambda host: {"address": f"{host}:8500", "metric_version": 2}),
    "logstash": ("logstash", lambda host: {"url": f"http://{host}:9600"}),
    "opensearch": ("elasticsearch", lambda host: {"servers": [f"http://{host}:9200"], "local": True}),
    "redis": ("redis", lambda host: {"servers": [f"tcp://{host}:6379"]}),
    "zookeeper": ("zookeeper", lambda host: {"servers": [f"{host}:2181"]}),
}

Word = Annotated[str, Field(pattern=r"^[^\s$]+$")]  # a $ would name a variable


class Token(Part):
    """Where the token lies: in a Secret of the service's namespace."""

    secret_ref: SecretRef


class Influx(Part):
    """An InfluxDB to write to."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s$]+$")]
    organization: Word
    bucket: Word
    token: Token


class Options(Part):
    """How often it asks, and whom it tells beside Prometheus."""

    interval: Duration = Duration.parse("10s")
    influx: Influx | None = None


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    files = {
        f"{one.name}.conf": _config(service, environment, one.name, _targets(service)[one.ordinal :: service.replicas])
        for one in member.members(service, environment)
    }
    return workload.resources(
        service,
        environment,
        workload.Program(container=_container(service), mounts={}, files=files, signature=files, ports={"metrics": PORT}),
    )


def _container(service: Service) -> dict[str, Any]:
    influx = Options.model_validate(service.options).influx
    secret = influx.token.secret_ref if influx else None
    token = {"name": _TOKEN, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": secret.key}}} if secret else None
    return {
        "name": "telegraf",
        "image": f"telegraf:{service.version}",
        "args": ["telegraf", "--config", f"{workload.CONFIG_PATH}/$(MEMBER).conf"],
        **({"env": [token]} if token else {}),
        "readinessProbe": workload.readiness(f'curl -fsS --max-time 4 -o /dev/null "http://$FQDN:{PORT}/metrics"'),
    }


def _targets(service: Service) -> list[tuple[str, str, str]]:
    """Whom all members together ask: type, service and member, of types that can be asked."""
    return [(one.type, one.service.name, name) for one in service.parents if one.type in _INPUTS for name in one.members]


def _config(service: Service, environment: Environment, name: str, targets: list[tuple[str, str, str]]) -> str:
    """telegraf.conf of one member."""
    options = Options.model_validate(service.options)
    parts = [
        file.toml("[agent]", {"interval": f"{int(options.interval)}s", "hostname": name, "omit_hostname": False}),
        file.toml("[[outputs.prometheus_client]]", {"listen": f"{cloud.fqdn(environment, name)}:{PORT}"}),
    ]
    if influx := options.influx:
        told = {"urls": [influx.url], "organization": influx.organization, "bucket": influx.bucket, "token": f"${{{_TOKEN}}}"}
        parts.append(file.toml("[[outputs.influxdb_v2]]", told))
    for type_, asked, one in targets:
        plugin, settings = _INPUTS[type_]
        parts.append(file.toml(f"[[inputs.{plugin}]]", settings(cloud.fqdn(environment, one))))
        parts.append(file.toml(f"[inputs.{plugin}.tags]", {"service": asked, "member": one}))
    return "\n".join(parts)


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    yield from rules.volumes(service, "Telegraf")
    yield from parent.checks(service, _INPUTS, several=True)
    options, asked = Options.model_validate(service.options), len(_targets(service))
    if int(options.interval) == 0:
        yield "options.interval", "it cannot ask all the time", "write a duration such as 10s"
    if asked and service.replicas > asked:
        yield "replicas", f"there are {asked} members to ask, and {service.replicas} who would ask them", f"choose {asked} or fewer"
    if options.influx and not options.influx.token.secret_ref.key:
        yield "options.influx.token.secretRef", "it is not said which key of the Secret the token is", "add key"


SERVICE = ServiceType(
    name="telegraf",
    level="rendered",
    versions=("1.36", "1.35"),
    resources=resources,
    members=member.members,
    options=Options,
    check=check,
    upgrades=Upgrades(kept=0),
)
