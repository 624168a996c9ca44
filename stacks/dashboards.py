"""OpenSearch Dashboards: the pages of an OpenSearch cluster, at every member the same; it keeps nothing of its own.

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
    metadata: {name: pages}
    spec:
      type: dashboards
      replicas: 2
      dependsOn: [search]
      options: {basePath: /search}

It knows all members of its parent by their names; another number of them restarts it. Upgrade the parent first, or both in one commit:
then it waits for the parent.

Rendered, no authentication yet: who can reach port 5601 can see and change what the cluster holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from reconciler.kinds import Check, ServiceType
from reconciler.model.document import Part
from reconciler.model.environment import Environment
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import cloud, file, member, parent, rules, workload

PORT = 5601
_PARENT, _PARENTS_PORT = "opensearch", 9200
_HOME = "/usr/share/opensearch-dashboards"
_MIB = 2**20


class Options(Part):
    """What opensearch_dashboards.yml says beside names and places."""

    base_path: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = ""  # behind a proxy; without a / at its end
    heap: Quantity = Quantity.parse("512Mi")


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    files = {f"{one.name}.yml": file.yaml(_settings(service, environment, one.name)) for one in member.members(service, environment)}
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts={},
            files=files,
            signature=_settings(service, environment, f"{service.name}-0"),
            ports={"http": PORT},
        ),
    )


def _container(service: Service) -> dict[str, Any]:
    options = Options.model_validate(service.options)
    environment = {
        "DISABLE_SECURITY_DASHBOARDS_PLUGIN": "true",
        "NODE_OPTIONS": f"--max-old-space-size={options.heap.bytes // _MIB}",
    }
    place = f"{workload.CONFIG_PATH}/$MEMBER.yml"
    return {
        "name": "dashboards",
        "image": f"opensearchproject/opensearch-dashboards:{service.version}",
        "command": [
            "bash",
            "-ec",
            f"cp {place} {_HOME}/config/opensearch_dashboards.yml; exec {_HOME}/opensearch-dashboards-docker-entrypoint.sh",
        ],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "readinessProbe": workload.readiness(f'curl -fsS --max-time 4 -o /dev/null "http://$FQDN:{PORT}{options.base_path}/api/status"'),
    }


def _settings(service: Service, environment: Environment, name: str) -> dict[str, Any]:
    options, own = Options.model_validate(service.options), cloud.fqdn(environment, name)
    hosts = parent.hosts(parent.one(service, _PARENT), environment)
    return {
        "server.name": name,
        "server.host": own,
        "server.port": PORT,
        **({"server.basePath": options.base_path, "server.rewriteBasePath": True} if options.base_path else {}),
        "opensearch.hosts": [f"http://{host}:{_PARENTS_PORT}" for host in hosts],
    }


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    yield from rules.volumes(service, "Dashboards")
    yield from parent.checks(service, {_PARENT})
    yield from _heap(service)
    served = parent.one(service, _PARENT)
    if served and not _serves(served.service.version, service.version):
        theirs = served.service.version
        why = f"{service.version} does not work with {served.service.name}, which has {theirs}: it must be of that major and no newer"
        yield "version", why, f"choose {theirs}"


def _heap(service: Service) -> Iterator[Check]:
    heap, limit = Options.model_validate(service.options).heap, service.resources.limits.get("memory")
    if heap < Quantity.parse("256Mi"):
        yield "options.heap", f"{heap} is less than 256Mi, with which it does not start", "write a quantity such as 512Mi"
    elif limit and heap >= limit:
        yield "options.heap", f"{heap} leaves nothing of the limit of {limit} for Node.js itself", "raise limits.memory"


def _serves(version: str, ours: str) -> bool:
    there, here = ([int(part) for part in text.split(".")[:2]] for text in (version, ours))
    return there[0] == here[0] and here <= there


SERVICE = ServiceType(
    name="dashboards",
    level="rendered",
    versions=("3.6.0", "3.5.0", "2.19.3"),
    resources=resources,
    members=member.members,
    options=Options,
    check=check,
)
