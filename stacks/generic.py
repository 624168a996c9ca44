"""Everything else: a Pod template of the user's own, with members, names, volumes and addresses as all services have them.

    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: queue}
    spec:
      type: generic
      replicas: 2
      volumes: {data: {size: 20Gi}}
      options: {mounts: {data: /var/lib/queue}, ports: {amqp: 5672}}
      podTemplate:
        spec:
          containers:
            - name: queue
              image: rabbitmq:4.1
              readinessProbe: {tcpSocket: {port: 5672}}

Each container knows its member by the variables MEMBER, FQDN, POD_IP and NODE_NAME. Volumes are mounted in the first container, or in
the one that options.container names. With addresses of their own, members must listen on FQDN only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from reconciler.kinds import Check, ServiceType
from reconciler.model.document import DnsLabel, Part, Text
from reconciler.model.environment import Environment
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import member, workload

Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Path = Annotated[str, Field(pattern=r"^/.+")]


class Options(Part):
    """Where the volumes lie, and what the headless Service names."""

    mounts: dict[DnsLabel, Path] = Field(default_factory=dict)
    ports: dict[DnsLabel, Port] = Field(default_factory=dict)
    container: Text | None = None


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    options = Options.model_validate(service.options)
    name = options.container or next(iter(_containers(service)))["name"]
    program = workload.Program(container={"name": name}, mounts=options.mounts, ports=options.ports)
    return workload.resources(_informed(service, environment, name), environment, program)


def _informed(service: Service, environment: Environment, main: str) -> Service:
    """The service, its template's other containers told who they are too; the main one is told by the workload."""
    known = member.environment_variables(environment)
    containers = [{**one, "env": [*known, *one.get("env", ())]} if one.get("name") != main else one for one in _containers(service)]
    spec = {**service.pod_template["spec"], "containers": containers}
    return service.model_copy(update={"pod_template": {**service.pod_template, "spec": spec}})


def _containers(service: Service) -> list[Mapping[str, Any]]:
    """The template's containers; none where it has not the shape of one."""
    spec = service.pod_template.get("spec")
    containers = spec.get("containers") if isinstance(spec, Mapping) else None
    return [one for one in containers if isinstance(one, Mapping)] if isinstance(containers, list) else []


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    containers, options = _containers(service), Options.model_validate(service.options)
    if not containers:
        yield "podTemplate", "a generic service is what its Pod template says, and this one has no containers", "add spec.containers"
    for number, one in enumerate(containers):
        if missing := [key for key in ("name", "image") if not one.get(key)]:
            yield f"podTemplate.spec.containers.{number}", f"this container has no {' and no '.join(missing)}", "add what is missing"
    if options.container and options.container not in {one.get("name") for one in containers}:
        yield "options.container", f"the Pod template has no container {options.container}", "name one of its containers"
    for name in options.mounts:
        if name not in service.volumes:
            yield f"options.mounts.{name}", f"there is no volume {name}", f"add volumes.{name}, or remove the mount"
    mounted = {mount.get("name") for one in containers for mount in one.get("volumeMounts", ())}
    for name in service.volumes:
        if name not in options.mounts and name not in mounted:
            yield f"volumes.{name}", "no container mounts this volume", f"add options.mounts.{name}: /path"


SERVICE = ServiceType(
    name="generic",
    level="rendered",
    versions=("1",),
    resources=resources,
    members=member.members,
    options=Options,
    check=check,
)
