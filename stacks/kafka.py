"""Kafka without ZooKeeper (KRaft): every member is a broker, and the first ones are the controllers as well, an odd number of voters.

    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: events}
    spec:
      type: kafka
      version: "4.1.1"
      replicas: 3
      volumes: {data: {size: 100Gi}}
      options: {heap: 1Gi, retention: 7d}

Clients begin at any member's name, port 9092; brokers talk to each other on 9091, controllers on 9093. Members from the number of
controllers on are brokers only, so more of them change nothing for the others. The controllers are those that the cluster was formatted
with: another number of them is refused, since taking in a voter is a step that nobody does yet (`controllers: 1` never becomes three,
so it is for trials). A controller whose volume is lost has to be taken out of the quorum by hand before it gets an empty one.
Up to three members the defaults of replication follow their number, which restarts them; topics keep the replication that they were
made with, and partitions are not moved to new brokers; off those that leave they are moved before.

There is no password yet: who can reach these ports can use them, so security groups or network policies have to say who can.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from reconciler.kinds import Check, MemberPlan, ServiceType
from reconciler.model.document import Flag, Part, Positive
from reconciler.model.duration import Duration
from reconciler.model.environment import Environment
from reconciler.model.initialise import LEADER, LOOK, Initialisation, Script
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import cloud, java, member, rules, workload
from stacks import _kafka_moves

INTERNAL, CLIENT, CONTROLLER = 9091, 9092, 9093
_BIN, _DATA, _LOGS = "/opt/kafka/bin", "/data", "/data/kafka"  # not the volume's root: Kafka takes lost+found for a broken partition
_USER = 1000  # of the image
_DEDUPE = 128 * 2**20  # Kafka's own default for what its cleaner takes of the heap at once, more than a small one has
_STOPS_WITHIN = 120  # seconds: it hands its partitions over, and closes its logs
_VOTERS = "voters"
_LOGGING = """\
Configuration:
  Appenders:
    Console: {name: out, PatternLayout: {pattern: "[%d] %p %m (%c)%n"}}
  Loggers:
    Root: {level: INFO, AppenderRef: [{ref: out}]}
    Logger: [{name: kafka.server.KafkaConfig, level: WARN}]  # else a thousand lines of settings a start
"""
# Whom this broker's Metadata answer names: only brokers that the controllers have unfenced. No JVM, and nothing that grows with topics.
_READY = f"""\
exec 3<>"/dev/tcp/$FQDN/{CLIENT}" || exit 1
printf '\\0\\0\\0\\016\\0\\003\\0\\001\\0\\0\\0\\0\\377\\377\\0\\0\\0\\0' >&3
size=$(dd bs=1 count=4 <&3 2>/dev/null | od -An -tx1 | tr -d ' \\n')
[ -n "$size" ] || {{ echo "it closed the connection" >&2; exit 1; }}
dd bs=1 count=$((16#$size)) <&3 2>/dev/null | grep -aqF "$FQDN" || {{ echo "the controllers have not let it in" >&2; exit 1; }}
"""
# Formatted once. Who the volume is of is Kafka's to remember (meta.properties); whom it was to vote with is noted beside it, first of all.
_FORMAT = f"""\
config={workload.CONFIG_PATH}/$MEMBER.properties voters=$(cat {workload.CONFIG_PATH}/{_VOTERS})
no() {{ echo "$1" >&2; exit 1; }}
held() {{ sed -n "s/^$1=//p" {_LOGS}/meta.properties; }}
if [ -e {_DATA}/voters ] && [ "$(cat {_DATA}/voters)" != "$voters" ]; then
  no "the volume was formatted with the controllers $(cat {_DATA}/voters), not $voters: put options.controllers back"
fi
if [ -s {_LOGS}/meta.properties ]; then
  node=$(sed -n 's/^node.id=//p' "$config")
  [ "$(held cluster.id)" = "$CLUSTER_ID" ] || no "the volume is of cluster $(held cluster.id), not $CLUSTER_ID: give $MEMBER its own"
  [ "$(held node.id)" = "$node" ] || no "the volume is of node $(held node.id), but $MEMBER is node $node: give it its own"
  exit 0
fi
echo "$voters" > {_DATA}/voters.new && mv {_DATA}/voters.new {_DATA}/voters
if grep -q '^process.roles=.*controller' "$config"; then quorum="--initial-controllers $voters"; else quorum=--no-initial-controllers; fi
exec {_BIN}/kafka-storage.sh format --config "$config" --cluster-id "$CLUSTER_ID" $quorum
"""


class Options(Part):
    """What server.properties and the JVM are told beside names and places."""

    heap: Quantity = Quantity.parse("1Gi")
    controllers: Literal[1, 3, 5] = 3
    num_partitions: Positive = 1
    default_replication_factor: Positive | None = None  # 3, or as many as there are members
    min_insync_replicas: Positive | None = None  # 2, or as many as there are replicas
    retention: Duration = Duration.parse("7d")
    retention_bytes: Quantity | None = None  # of a partition
    auto_create_topics: Flag = False
    unclean_leader_election: Flag = False

    def replication(self, members: int) -> int:
        return self.default_replication_factor or min(3, members)

    def insync(self, members: int) -> int:
        return self.min_insync_replicas or min(2, self.replication(members))


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    plan = member.members(service, environment)
    files = {f"{one.name}.properties": _config(service, environment, one) for one in plan}
    # a controller and a broker, however many there are: more members restart nobody
    broker = replace(plan[0], name=f"{service.name}-n", ordinal=Options.model_validate(service.options).controllers)
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts={"data": _DATA} if "data" in service.volumes else {},
            files=files | {_VOTERS: _voters(service, environment), "ready.sh": _READY, "log4j2.yaml": _LOGGING},
            signature=[*(_config(service, environment, one) for one in (plan[0], broker)), _LOGGING],
            ports={"internal": INTERNAL, "kafka": CLIENT, "controller": CONTROLLER},
            preparing=(_format(service, environment),),
            grace=_STOPS_WITHIN,
            group=_USER,
            fixed={"controllers": str(Options.model_validate(service.options).controllers)},
        ),
    )


def _container(service: Service) -> dict[str, Any]:
    return {
        "name": "kafka",
        "image": _image(service),
        "command": [f"{_BIN}/kafka-server-start.sh", f"{workload.CONFIG_PATH}/$(MEMBER).properties"],
        "env": [
            {"name": "KAFKA_HEAP_OPTS", "value": java.heap_flags(Options.model_validate(service.options).heap)},
            {"name": "KAFKA_OPTS", "value": java.FRESH_NAMES},
            {"name": "KAFKA_LOG4J_OPTS", "value": f"-Dlog4j2.configurationFile={workload.CONFIG_PATH}/log4j2.yaml"},
            {"name": "EXTRA_ARGS", "value": "-name kafkaServer"},  # in place of the image's, which writes files of the collector's log
        ],
        "readinessProbe": workload.readiness(f". {workload.CONFIG_PATH}/ready.sh"),
    }


def _format(service: Service, environment: Environment) -> dict[str, Any]:
    return {
        "name": "format",
        "image": _image(service),
        "command": ["bash", "-ec", _FORMAT],
        "env": [*member.environment_variables(environment), {"name": "CLUSTER_ID", "value": _uuid(environment.name, service.name)}],
        "volumeMounts": [
            {"name": "data", "mountPath": _DATA},
            {"name": "config", "mountPath": workload.CONFIG_PATH, "readOnly": True},
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _image(service: Service) -> str:
    return f"apache/kafka:{service.version}"


def _config(service: Service, environment: Environment, one: MemberPlan) -> str:
    """server.properties of one member. Each listens on its own name only, which is what it tells others of itself."""
    options, own = Options.model_validate(service.options), cloud.fqdn(environment, one.name)
    votes, copies, insync = one.ordinal < options.controllers, options.replication(service.replicas), options.insync(service.replicas)
    listeners = {"INTERNAL": INTERNAL, "CLIENT": CLIENT, **({"CONTROLLER": CONTROLLER} if votes else {})}
    settings: dict[str, Any] = {
        "process.roles": "broker,controller" if votes else "broker",
        "node.id": one.ordinal,
        "broker.rack": one.zone,
        "controller.quorum.bootstrap.servers": ",".join(f"{name}:{CONTROLLER}" for _, name in _controllers(service, environment)),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "INTERNAL",
        "listeners": ",".join(f"{name}://{own}:{port}" for name, port in listeners.items()),
        "listener.security.protocol.map": "INTERNAL:PLAINTEXT,CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": _LOGS,
        "num.partitions": options.num_partitions,
        "default.replication.factor": copies,
        "min.insync.replicas": insync,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": insync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": insync,
        "log.retention.ms": int(options.retention.exact * 1000),
        "log.retention.bytes": options.retention_bytes.bytes if options.retention_bytes else -1,
        "log.cleaner.dedupe.buffer.size": min(_DEDUPE, options.heap.bytes // 4),
        "auto.create.topics.enable": _word(on=options.auto_create_topics),
        "unclean.leader.election.enable": _word(on=options.unclean_leader_election),
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _controllers(service: Service, environment: Environment) -> list[tuple[int, str]]:
    """Number and name of each."""
    count = Options.model_validate(service.options).controllers
    return [(n, cloud.fqdn(environment, f"{service.name}-{n}")) for n in range(count)]


def _voters(service: Service, environment: Environment) -> str:
    """The first voters as `kafka-storage` takes them; all of them have to be formatted with the same words, so nothing is drawn."""
    found = _controllers(service, environment)
    return ",".join(f"{n}@{name}:{CONTROLLER}:{_uuid(environment.name, service.name, str(n))}" for n, name in found)


def _uuid(*words: str) -> str:
    """Sixteen bytes as Kafka writes them, always the same of *words*; the first bit is off, so that none begins with `-`."""
    first, *rest = hashlib.sha256("/".join(words).encode()).digest()[:16]
    return base64.urlsafe_b64encode(bytes([first & 0x7F, *rest])).decode().rstrip("=")


def _word(*, on: bool) -> str:
    return "true" if on else "false"


def _bootstrap(service: Service, environment: Environment) -> str:
    """Where a client of the cluster begins: any member will do, and the controllers are there whatever the number."""
    return ",".join(f"{name}:{CLIENT}" for _, name in _controllers(service, environment))


def leader(service: Service, environment: Environment) -> Script:
    """The active controller: while another is voted for, no partition that loses its leader gets a new one."""
    at = _bootstrap(service, environment)
    text = f"""\
status=$({_BIN}/kafka-metadata-quorum.sh --bootstrap-server {at} describe --status) || exit 1
id=$(sed -n 's/^LeaderId:[[:space:]]*//p' <<<"$status")
say "{{\\"{LEADER}\\": \\"${{id:+{service.name}-$id}}\\"}}"
"""
    return Script(LOOK, text)


def drain(service: Service, environment: Environment, leaving: tuple[str, ...]) -> Initialisation:
    """Partitions are moved off brokers before these go; controllers are among the first members, of whom none may go."""
    going = [int(name.rpartition("-")[2]) for name in leaving]
    moves = _kafka_moves.Moves(_BIN, _bootstrap(service, environment), range(service.replicas), going)
    return Initialisation(moves.look, moves.next)


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    options, members = Options.model_validate(service.options), service.replicas
    if members < options.controllers:
        why = f"{options.controllers} controllers need as many members, and there are {members}"
        yield "options.controllers", why, f"have {options.controllers} replicas, or, from the beginning, fewer controllers: 1, 3 or 5"
    if options.replication(members) > members:
        yield "options.defaultReplicationFactor", f"there are no {options.replication(members)} members", f"choose at most {members}"
    if options.insync(members) > options.replication(members):
        why = f"of {options.replication(members)} replicas no {options.insync(members)} can be in sync: nothing could be written"
        yield "options.minInsyncReplicas", why, f"choose at most {options.replication(members)}"
    yield from rules.volumes(service, "Kafka", ["data"])
    yield from rules.heap(service, options.heap, Quantity.parse("128Mi"))


SERVICE = ServiceType(
    name="kafka",
    level="rendered",
    versions=("4.1.1", "4.1.0"),
    resources=resources,
    members=member.members,
    options=Options,
    check=check,
    leader=leader,
    drain=drain,
    remembers=lambda _: "the id of the cluster, which is that of its name",
)
