"""Consul: an odd number of servers that keep a catalog of services and a small store of keys, each with its log on a volume of its own.

    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: registry}
    spec:
      type: consul
      version: "2.0"
      replicas: 3
      volumes: {data: {size: 10Gi}}
      options: {domain: consul, ui: true}

The servers elect a first leader once all that are declared have met and none of them knows of any: a lost volume begins no second
cluster. New servers join by the others' names, and another number of replicas restarts nobody.

Rendered, no authentication yet: neither gossip encryption nor access lists, so who can reach ports 8300 to 8600 can use it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from reconciler.kinds import Check, MemberPlan, ServiceType
from reconciler.model.document import Flag, Part
from reconciler.model.environment import Environment
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.model.upgrades import Upgrades
from reconciler.resources import cloud, member, rules, workload

PORTS = {"server": 8300, "serf": 8301, "http": 8500, "grpc": 8502, "dns": 8600}
_DATA = "/consul/data"
_STOPS_WITHIN = 60
_TOO_MANY = 7  # each more voter makes writes slower and saves nothing


class Options(Part):
    """What the agent's file says beside names and places."""

    datacenter: Annotated[str, Field(pattern=r"^[a-z0-9_-]*$")] = ""  # by default the environment's region
    domain: Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")] = "consul"
    ui: Flag = False
    raft_multiplier: Annotated[int, Field(strict=True, ge=1, le=10)] = 1  # more is slower to miss a leader
    log_level: Literal["trace", "debug", "info", "warn", "error"] = "info"


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    plan = member.members(service, environment)
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts={"data": _DATA},
            files={f"{one.name}.json": json.dumps(_settings(service, environment, one), indent=1) + "\n" for one in plan},
            signature=_common(service, environment),
            ports=PORTS,
            grace=_STOPS_WITHIN,
            spare=member.spare(service.replicas),
        ),
    )


def _container(service: Service) -> dict[str, Any]:
    """Its address has to be an address: the one of its name, which is its own before it starts."""
    listens = "$1" if member.has_interface(service) else "0.0.0.0"  # noqa: S104 - a Pod's own network
    addresses = f'-advertise="$1" -bind={listens} -client={listens}'
    start = (
        f'set -- $(getent hosts "$FQDN"); exec docker-entrypoint.sh agent -config-file="{workload.CONFIG_PATH}/$MEMBER.json" {addresses}'
    )
    probe = f"""curl -fsS --max-time 4 "http://$FQDN:{PORTS["http"]}/v1/status/leader" | grep -q '[0-9]'"""
    return {
        "name": "consul",
        "image": f"hashicorp/consul:{service.version}",
        "command": ["sh", "-ec", start],
        "readinessProbe": workload.readiness(probe, using="sh"),
    }


def _settings(service: Service, environment: Environment, one: MemberPlan) -> dict[str, Any]:
    """The file of one server's agent."""
    others = [cloud.fqdn(environment, each.name) for each in member.members(service, environment)]
    own = {"node_name": one.name, "node_meta": {"zone": one.zone}, "bootstrap_expect": service.replicas, "retry_join": others}
    return {**own, **_common(service, environment)}


def _common(service: Service, environment: Environment) -> dict[str, Any]:
    options = Options.model_validate(service.options)
    return {
        "server": True,
        "datacenter": options.datacenter or environment.region,
        "domain": options.domain,
        "ports": {**{name: port for name, port in PORTS.items() if name != "serf"}, "serf_lan": PORTS["serf"], "serf_wan": -1},
        "ui_config": {"enabled": options.ui},
        "performance": {"raft_multiplier": options.raft_multiplier},
        "log_level": options.log_level,
        "leave_on_terminate": False,  # a restart is no farewell
        "disable_update_check": True,
    }


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    yield from rules.volumes(service, "Consul", ["data"])
    yield from rules.odd(service)
    if service.replicas > _TOO_MANY and service.replicas % 2:
        yield "replicas", f"each of {service.replicas} servers has to be asked about every write", f"choose {_TOO_MANY} or fewer"


SERVICE = ServiceType(
    name="consul",
    level="rendered",
    versions=("2.0", "1.22"),
    resources=resources,
    members=member.members,
    options=Options,
    check=check,
    voters=lambda _service, members: members,
    remembers=lambda _: "its peers' addresses, and would join them",
    # https://developer.hashicorp.com/consul/docs/upgrade/instructions
    upgrades=Upgrades(path=("1.22", "2.0")),
)
