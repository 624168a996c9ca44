"""Logstash: reads events as its pipeline says, and writes them to an OpenSearch cluster; what waits to be written can lie on a volume.

    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: search}
    spec:
      type: opensearch
      replicas: 3
      volumes: {data: {size: 100Gi}}
    ---
    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: intake}
    spec:
      type: logstash
      replicas: 2
      dependsOn: [search]
      volumes: {data: {size: 20Gi}}
      options: {queue: persisted, queueSize: 8Gi, ports: {beats: 5044}, pipeline: "input { beats { port => 5044 } }"}

The pipeline is a user's text of inputs and filters, given to Logstash as it is; the output to all members of the parent is added to it.
Another number of these restarts it. The image is the newest that OpenSearch ships with its plugin; `podTemplate` can name another.

Rendered, no authentication yet: it knows no password of its parent, and who can reach its ports can write to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from reconciler.kinds import Check, ServiceType
from reconciler.model.document import DnsLabel, Flag, Part, Positive
from reconciler.model.environment import Environment
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import cloud, file, java, member, parent, rules, workload

API = 9600
_PARENT, _PARENTS_PORT = "opensearch", 9200
_HOME = "/usr/share/logstash"
_USER = 1000  # whom the image runs as
_MIB = 2**20
_STOPS_WITHIN = 120  # until what it has read is written

Port = Annotated[int, Field(strict=True, ge=1, le=65535)]


class Options(Part):
    """The pipeline, and what logstash.yml and the JVM are told beside names and places."""

    pipeline: Annotated[str, Field(max_length=2**16)] = ""  # an empty one is refused
    index: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*(%\{\+[A-Za-z.-]+\})?$")] = "logs-%{+yyyy.MM.dd}"
    ports: dict[DnsLabel, Port] = Field(default_factory=dict)  # where inputs listen
    heap: Quantity = Quantity.parse("1Gi")
    workers: Positive | None = None  # as many as there are processors
    batch_size: Positive = 125
    queue: Literal["memory", "persisted"] = "memory"
    queue_size: Quantity = Quantity.parse("1Gi")
    dead_letters: Flag = False


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    pipeline = {
        "10-pipeline.conf": Options.model_validate(service.options).pipeline + "\n",
        "90-output.conf": _output(service, environment),
    }
    plan = member.members(service, environment)
    files = {f"{one.name}.yml": file.yaml({"node.name": one.name, **_settings(service, environment, one.name)}) for one in plan}
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts={"data": f"{_HOME}/data"} if "data" in service.volumes else {},
            files={**files, **pipeline},
            signature=[pipeline, _settings(service, environment, f"{service.name}-0")],
            ports={"api": API, **Options.model_validate(service.options).ports},
            grace=_STOPS_WITHIN,
            group=_USER,
        ),
    )


def _container(service: Service) -> dict[str, Any]:
    flags = f"{java.heap_flags(Options.model_validate(service.options).heap)} {java.FRESH_NAMES}"
    place = workload.CONFIG_PATH
    start = f"cp {place}/$MEMBER.yml {_HOME}/config/logstash.yml; exec docker-entrypoint -f '{place}/*.conf'"
    return {
        "name": "logstash",
        "image": f"opensearchproject/logstash-oss-with-opensearch-output-plugin:{service.version}",
        "command": ["bash", "-ec", start],
        "env": [{"name": "LS_JAVA_OPTS", "value": flags}],
        "readinessProbe": workload.readiness(f'curl -fsS --max-time 4 -o /dev/null "http://$FQDN:{API}/_node/pipelines/main"'),
    }


def _settings(service: Service, environment: Environment, name: str) -> dict[str, Any]:
    """logstash.yml of one member, but for its name."""
    options = Options.model_validate(service.options)
    queue = {"queue.max_bytes": f"{options.queue_size.bytes // _MIB}mb"} if options.queue == "persisted" else {}
    return {
        "api.http.host": cloud.fqdn(environment, name),
        "api.http.port": API,
        **({"pipeline.workers": options.workers} if options.workers else {}),
        "pipeline.batch.size": options.batch_size,
        "queue.type": options.queue,
        **queue,
        "dead_letter_queue.enable": options.dead_letters,
    }


def _output(service: Service, environment: Environment) -> str:
    """The end of the pipeline. Nothing in it has to be escaped: names have no such character, and the index's pattern lets none in."""
    hosts = [f"http://{host}:{_PARENTS_PORT}" for host in parent.hosts(parent.one(service, _PARENT), environment)]
    index = json.dumps(Options.model_validate(service.options).index)
    return f"output {{\n  opensearch {{\n    hosts => {json.dumps(hosts)}\n    index => {index}\n  }}\n}}\n"


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    yield from parent.checks(service, {_PARENT})
    options = Options.model_validate(service.options)
    yield from rules.heap(service, options.heap, Quantity.parse("256Mi"))
    if "input" not in options.pipeline:
        yield "options.pipeline", "a pipeline without an input reads nothing", 'write one: "input { beats { port => 5044 } }"'
    if API in options.ports.values():
        yield "options.ports", f"{API} is where Logstash itself is asked how it fares", "choose another port"
    keeping = {"options.queue": options.queue == "persisted", "options.deadLetters": options.dead_letters}
    kept = next((path for path, needed in keeping.items() if needed), "")
    yield from rules.volumes(service, "Logstash", optional=["data"])
    if kept and "data" not in service.volumes:
        yield kept, "what is kept needs a volume to lie on", "add volumes.data"
    if not kept and "data" in service.volumes:
        yield "volumes.data", "nothing would lie on it", "add options.queue: persisted, or remove it"
    if options.queue == "persisted" and "data" in service.volumes and options.queue_size.bytes >= service.volumes["data"].size.bytes:
        yield "options.queueSize", f"{options.queue_size} is more than the volume holds", "choose less, or a larger volume"


SERVICE = ServiceType(
    name="logstash",
    level="rendered",
    versions=("8.9.0",),
    resources=resources,
    members=member.members,
    options=Options,
    check=check,
)
