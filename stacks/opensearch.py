"""OpenSearch: a cluster whose first members vote, an odd number of them; all hold data, and copies of a shard lie in different zones.

    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: search}
    spec:
      type: opensearch
      version: "3.6.0"
      replicas: 3
      volumes: {data: {size: 100Gi}}
      options: {heap: 2Gi}

A new cluster is begun by member 0 alone, and only as long as its volume has been in none: it is then given the voters' names at its
start, and no configuration file holds them. Whoever else is new joins what there is. A member 0 whose volume is lost finds voters that
have a cluster, and no majority for another. Nodes need `vm.max_map_count` of 262144, or the service `options.mmap: false`.

Rendered, no authentication yet: who can reach ports 9200 and 9300 can use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.kinds import Check, MemberPlan, ServiceType
from reconciler.model.document import Flag, Part, Positive
from reconciler.model.environment import Environment
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.model.upgrades import Upgrades
from reconciler.resources import cloud, file, java, member, rules, workload

HTTP, TRANSPORT = 9200, 9300
_HOME = "/usr/share/opensearch"
_USER = 1000  # whom the image runs as
_VOTERS = 3  # at most, unless `managers` says more: each more makes elections slower
_STOPS_WITHIN = 120


class Options(Part):
    """What opensearch.yml and the JVM are told beside names and places."""

    heap: Quantity = Quantity.parse("1Gi")
    managers: Positive | None = None  # how many of the first members vote
    mmap: Flag = True
    forced_awareness: Flag = False  # a zone that is away gets no stand-in for its copies


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    plan = member.members(service, environment)
    files = {f"{one.name}.yml": file.yaml(_settings(service, environment, one)) for one in plan}
    files |= {"start.sh": _start(service), "ready.sh": _READY}
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts={"data": f"{_HOME}/data"},
            files=files,
            signature=_signature(service, environment, plan),
            ports={"http": HTTP, "transport": TRANSPORT},
            grace=_STOPS_WITHIN,
            group=_USER,
        ),
    )


def _container(service: Service) -> dict[str, Any]:
    heap = java.heap_flags(Options.model_validate(service.options).heap)
    # the JVM forgets a member's old address after as long as its record may be cached
    flags = f"{heap} -Dopensearch.networkaddress.cache.ttl=5 -Dopensearch.networkaddress.cache.negative.ttl=5"
    environment = {"OPENSEARCH_JAVA_OPTS": flags, "DISABLE_INSTALL_DEMO_CONFIG": "true", "DISABLE_SECURITY_PLUGIN": "true"}
    return {
        "name": "opensearch",
        "image": f"opensearchproject/opensearch:{service.version}",
        "command": ["bash", f"{workload.CONFIG_PATH}/start.sh"],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "readinessProbe": workload.readiness(f". {workload.CONFIG_PATH}/ready.sh"),
    }


def _voting(service: Service, members: int) -> int:
    """How many of so many members vote."""
    return Options.model_validate(service.options).managers or (_VOTERS if members >= _VOTERS else 1)


def _voters(service: Service) -> list[str]:
    """The members that elect the cluster's manager, by name: always the first, so that more members change nobody's part."""
    count = _voting(service, service.replicas)
    return [f"{service.name}-{ordinal}" for ordinal in range(min(count, service.replicas))]


def _settings(service: Service, environment: Environment, one: MemberPlan) -> dict[str, Any]:
    """opensearch.yml of one member."""
    options, voters, own = Options.model_validate(service.options), _voters(service), cloud.fqdn(environment, one.name)
    forced = {"cluster.routing.allocation.awareness.force.zone.values": ",".join(service.zones or environment.zones)}
    return {
        "cluster.name": service.name,
        "node.name": one.name,
        "node.roles": ["cluster_manager", "data", "ingest"] if one.name in voters else ["data", "ingest"],
        "node.attr.zone": one.zone,
        "path.data": f"{_HOME}/data",
        "network.bind_host": own if member.has_interface(service) else "0.0.0.0",  # noqa: S104 - a Pod's own network
        "network.publish_host": own,
        "http.port": HTTP,
        "transport.port": TRANSPORT,
        "discovery.seed_hosts": [cloud.fqdn(environment, name) for name in voters],
        "cluster.routing.allocation.awareness.attributes": "zone",
        **(forced if options.forced_awareness else {}),
        "node.store.allow_mmap": options.mmap,
    }


def _signature(service: Service, environment: Environment, plan: tuple[MemberPlan, ...]) -> Any:
    """What restarts all of them: not who else there is, nor where one of them lives."""
    own = {"node.name", "node.attr.zone", "node.roles", "network.bind_host", "network.publish_host", "discovery.seed_hosts"}
    settings = _settings(service, environment, plan[0])
    return [{name: value for name, value in settings.items() if name not in own}, Options.model_validate(service.options).managers, _READY]


def _start(service: Service) -> str:
    """Member 0 may begin a cluster until its volume has been in one, which its probe notes there."""
    return f"""\
set -e
cp {workload.CONFIG_PATH}/$MEMBER.yml {_HOME}/config/opensearch.yml
begin=()
if [[ $MEMBER == {service.name}-0 && ! -e {_HOME}/data/joined ]]; then
  begin=(-Ecluster.initial_cluster_manager_nodes={",".join(_voters(service))})
fi
exec {_HOME}/opensearch-docker-entrypoint.sh opensearch "${{begin[@]}}"
"""


# Ready is who is in a cluster with a manager; after a start only once no copy is being filled: a rolling restart takes no second one.
_READY = f"""\
health() {{ curl -fsS --max-time 4 -o /dev/null "http://$FQDN:{HTTP}/_cluster/health?cluster_manager_timeout=2s$1"; }}
health "$([[ -e /tmp/started ]] || echo '&wait_for_no_initializing_shards=true&timeout=2s')" || exit 1
touch /tmp/started {_HOME}/data/joined
"""


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    yield from rules.volumes(service, "OpenSearch", ["data"])
    options = Options.model_validate(service.options)
    yield from rules.heap(service, options.heap, Quantity.parse("256Mi"), half=True)
    if service.replicas == 2:  # noqa: PLR2004
        yield "replicas", "of two members one alone can vote, and the other is nothing without it", "choose 1 or 3"
    if options.managers and options.managers % 2 == 0:
        why = f"{options.managers} voters survive no more losses than {options.managers - 1} would"
        yield "options.managers", why, "choose an odd number"
    elif options.managers and options.managers > service.replicas:
        yield "options.managers", f"there are {service.replicas} members, of whom {options.managers} cannot vote", "choose fewer"
    if options.forced_awareness and len(service.zones or environment.zones) == 1:
        yield "options.forcedAwareness", "with one zone there is no other for copies to lie in", "add zones, or leave it out"


SERVICE = ServiceType(
    name="opensearch",
    level="rendered",
    versions=("3.6.0", "3.5.0", "2.19.3"),
    resources=resources,
    members=member.members,
    options=Options,
    check=check,
    voters=_voting,
    # https://docs.opensearch.org/latest/migrate-or-upgrade/rolling-upgrade/: adjacent majors, 3 from 2.19 on; a node takes no older version
    upgrades=Upgrades(path=("2.19", "3"), kept=3),
)
