"""Cassandra: a ring whose members keep copies of each other's data in different zones, each with a volume, and perhaps one for its log.

    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: events}
    spec:
      type: cassandra
      version: "5.0"
      replicas: 3
      volumes: {data: {size: 200Gi}, journal: {size: 20Gi}}
      resources: {limits: {memory: 8Gi}}
      options: {heap: 4Gi}

Member 0 begins the ring; one whose volume is empty joins it once the member before it serves: one at a time, as Cassandra wants it. Data
centre is the region and rack the zone, so create keyspaces with NetworkTopologyStrategy. Another number of replicas restarts nobody, but
moves no data either: decommission a member before there are fewer. A member 0 whose volume was lost does not begin a second ring.

Rendered, no authentication yet: who can reach ports 7000 and 9042 can use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from reconciler.kinds import Check, MemberPlan, ServiceType
from reconciler.model.document import Part, Positive
from reconciler.model.environment import Environment
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.model.upgrades import Upgrades
from reconciler.resources import cloud, file, member, rules, workload

CQL, STORAGE = 9042, 7000
_DATA = "/var/lib/cassandra"
_PATHS = {"data": _DATA, "journal": f"{_DATA}/commitlog"}
_MIB = 2**20
_STOPS_WITHIN = 180  # what it holds in memory is written before it goes
_TOKENS = 16  # a ring's for ever


class Options(Part):
    """What cassandra.yaml and the JVM are told beside names and places."""

    heap: Quantity = Quantity.parse("2Gi")
    concurrent_reads: Positive = 32
    concurrent_writes: Positive = 32
    compaction_throughput: Positive = 64  # MiB/s


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    plan = member.members(service, environment)
    files: dict[str, str] = {"start.sh": _start(service), "others": _lines(cloud.fqdn(environment, one.name) for one in plan[1:])}
    for one in plan:
        files[f"{one.name}.yaml"] = file.yaml(_settings(service, environment, one))
        files[f"{one.name}.rack"] = file.properties({"dc": environment.region, "rack": one.zone})
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts={name: path for name, path in _PATHS.items() if name in service.volumes},
            files=files,
            signature=_common(service),
            ports={"cql": CQL, "storage": STORAGE},
            grace=_STOPS_WITHIN,
        ),
    )


def _container(service: Service) -> dict[str, Any]:
    heap, place = Options.model_validate(service.options).heap.bytes // _MIB, f"file://{workload.CONFIG_PATH}/$(MEMBER)"
    # the JVM forgets a member's old address after as long as its record may be cached
    java = f"-Dcassandra.config={place}.yaml -Dcassandra-rackdc.properties={place}.rack -Dsun.net.inetaddr.ttl=5"
    return {
        "name": "cassandra",
        "image": f"cassandra:{service.version}",
        "command": ["bash", f"{workload.CONFIG_PATH}/start.sh"],
        "env": [{"name": "MAX_HEAP_SIZE", "value": f"{heap}M"}, {"name": "JVM_EXTRA_OPTS", "value": java}],
        "readinessProbe": workload.readiness(_PROBE),
    }


def _seeds(service: Service, environment: Environment, name: str) -> list[str]:
    """The first member of each zone, as one of them is told: its own seed fetches nothing of what is there, and 0 has to be its own."""
    plan = member.members(service, environment)
    first = {one.zone: one.name for one in reversed(plan)}
    chosen = [one.name for one in plan if one.name == first[one.zone] and (one.name != name or not one.ordinal)]
    return [cloud.fqdn(environment, one) for one in chosen]


def _settings(service: Service, environment: Environment, one: MemberPlan) -> dict[str, Any]:
    """cassandra.yaml of one member."""
    own, seeds = cloud.fqdn(environment, one.name), ",".join(_seeds(service, environment, one.name))
    provider = {"class_name": "org.apache.cassandra.locator.SimpleSeedProvider", "parameters": [{"seeds": seeds}]}
    return {**_common(service), "listen_address": own, "rpc_address": own, "seed_provider": [provider]}


def _common(service: Service) -> dict[str, Any]:
    options = Options.model_validate(service.options)
    return {
        "cluster_name": service.name,
        "num_tokens": _TOKENS,
        "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
        "endpoint_snitch": "GossipingPropertyFileSnitch",
        "storage_port": STORAGE,
        "native_transport_port": CQL,
        "data_file_directories": [f"{_DATA}/data"],
        "commitlog_directory": _PATHS["journal"],
        "saved_caches_directory": f"{_DATA}/saved_caches",
        "hints_directory": f"{_DATA}/hints",
        "commitlog_sync": "periodic",
        "commitlog_sync_period": "10000ms",
        "disk_failure_policy": "stop",
        "commit_failure_policy": "stop",
        "concurrent_reads": options.concurrent_reads,
        "concurrent_writes": options.concurrent_writes,
        "compaction_throughput": f"{options.compaction_throughput}MiB/s",
    }


def _lines(words: Iterable[str]) -> str:
    return "".join(f"{word}\n" for word in words)


def _start(service: Service) -> str:
    """Who has been in the ring starts; who is new waits for its turn."""
    return f"""\
serves() {{ (exec 3<>"/dev/tcp/$1/{CQL}") 2>/dev/null; }}
number=${{MEMBER##*-}}
if [[ ! -e {_DATA}/data/system ]] && ((number)); then
  before={service.name}-$((number - 1)).${{FQDN#*.}}
  until serves "$before"; do echo "$before has to be in the ring before $MEMBER joins it"; sleep 5; done
elif [[ ! -e {_DATA}/data/system ]]; then
  while read -r other; do
    if serves "$other"; then
      echo "the volume of $MEMBER is empty, but $other serves the ring that it began: it would begin another; replace it from there"
      exit 1
    fi
  done < {workload.CONFIG_PATH}/others
fi
exec docker-entrypoint.sh cassandra -f
"""


# It asks what the server speaks, which it tells once it is in the ring: OPTIONS and SUPPORTED of the CQL protocol, version 4.
_PROBE = f"""\
exec 3<>"/dev/tcp/$FQDN/{CQL}" && printf '\\4\\0\\0\\0\\5\\0\\0\\0\\0' >&3 || exit 1
[[ $(head -c 5 <&3 | od -An -tx1 | tr -d ' \\n') == 8400000006 ]]
"""


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    yield from rules.volumes(service, "Cassandra", ["data"], ["journal"])
    yield from rules.heap(service, Options.model_validate(service.options).heap, Quantity.parse("512Mi"), half=True)
    if service.replicas == 2:  # noqa: PLR2004
        yield "replicas", "a majority of two copies is two, so that either member stops both", "choose 1 or 3"


SERVICE = ServiceType(
    name="cassandra",
    level="rendered",
    versions=("5.0",),
    resources=resources,
    members=member.members,
    options=Options,
    check=check,
    remembers=lambda _: "the cluster's name and its members' addresses",
    # https://github.com/apache/cassandra/blob/cassandra-5.0/NEWS.txt: 5.0 from 4.0 or 4.1
    upgrades=Upgrades(path=("4", "5")),
)
