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
made with, and partitions are not moved to new brokers; off those that leave they are moved before. A version may be followed by any later
one; its features are finalised once all members run it, and from then on it is not taken back.

With `auth: true` clients log in as the user `admin` (SASL, SCRAM-SHA-512), and members to each other; the service is ready only once each
member refuses strangers on all its ports and takes the password. It is made once and lies in the Secret `<service>-auth`, key `password`;
`options.password` names another Secret instead. It is for a service from its beginning, or never: a plan refuses to switch it. The admin
may make other users (`kafka-configs`); nothing is forbidden to any of them, since there is no authorizer. Nothing is encrypted. Without
it, security groups or network policies have to say who may connect.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from reconciler.kinds import Check, MemberPlan, ServiceType
from reconciler.model.document import Flag, Positive
from reconciler.model.duration import Duration
from reconciler.model.environment import Environment
from reconciler.model.initialise import LEADER, LOOK, Initialisation, Next, Said, Script
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import cloud, java, login, member, rules, workload
from stacks import _kafka_features as features
from stacks import _kafka_login, _kafka_moves

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
_METADATA = """\
printf '\\0\\0\\0\\016\\0\\003\\0\\001\\0\\0\\0\\0\\377\\377\\0\\0\\0\\0' >&3
size=$(dd bs=1 count=4 <&3 2>/dev/null | od -An -tx1 | tr -d ' \\n')
[ -n "$size" ] || { echo "it closed the connection" >&2; exit 1; }
dd bs=1 count=$((16#$size)) <&3 2>/dev/null | grep -aqF "$FQDN" || { echo "the controllers have not let it in" >&2; exit 1; }
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


class Options(login.Options):
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
    auth = login.options(service).auth
    # a controller and a broker, however many there are: more members restart nobody
    broker = replace(plan[0], name=f"{service.name}-n", ordinal=Options.model_validate(service.options).controllers)
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts={"data": _DATA} if "data" in service.volumes else {},
            files=files | {_VOTERS: _voters(service, environment), "ready.sh": _ready(service), "log4j2.yaml": _LOGGING},
            signature=[*(_config(service, environment, one) for one in (plan[0], broker)), _LOGGING],
            ports={"internal": INTERNAL, "kafka": CLIENT, "controller": CONTROLLER},
            secrets=login.mounted(service),
            preparing=(*((_kafka_login.server(_image(service), environment),) if auth else ()), _format(service, environment)),
            grace=_STOPS_WITHIN,
            group=_USER,
            fixed={"controllers": str(Options.model_validate(service.options).controllers)},
            begun=login.begun(service),
        ),
    )


def _container(service: Service) -> dict[str, Any]:
    config = _kafka_login.SERVER if login.options(service).auth else f"{workload.CONFIG_PATH}/$(MEMBER).properties"
    return {
        "name": "kafka",
        "image": _image(service),
        "command": [f"{_BIN}/kafka-server-start.sh", config],
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


def _ready(service: Service) -> str:
    """The probe, which is a member like others: where strangers are refused, it logs in as one."""
    auth = login.options(service).auth
    port, greeting = (INTERNAL, _kafka_login.greeting()) if auth else (CLIENT, "")
    return f'exec 3<>"/dev/tcp/$FQDN/{port}" || exit 1\n{greeting}{_METADATA}'


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
        **(_kafka_login.settings() if options.auth else {}),
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


def _bootstrap(service: Service, environment: Environment, port: int = CLIENT) -> str:
    """Where a client of the cluster begins: any member will do, and the controllers are there whatever the number."""
    return ",".join(f"{name}:{port}" for _, name in _controllers(service, environment))


def _entry(service: Service, environment: Environment) -> _kafka_login.Entry:
    """How looks and steps come in: as members, who need nobody's password."""
    auth = login.options(service).auth
    return _kafka_login.Entry(_bootstrap(service, environment, INTERNAL if auth else CLIENT), auth)


def initialise(service: Service, environment: Environment) -> Initialisation:
    """The admin is made, once there is a cluster to make it, and nobody else gets in; then the version's features are finalised."""
    entry, asked = _entry(service, environment), _asked(service, environment) if login.options(service).auth else {}
    access = _kafka_login.look(_BIN, _bootstrap(service, environment), asked) if asked else "access=\n"
    text = f'{access}{features.look(_BIN, entry)}say "{{\\"access\\": {{$access}}, \\"finalised\\": \\"$finalised\\"}}"\n'

    def following(said: Said) -> Next:
        closing = _kafka_login.lacking(_BIN, entry, said["access"]) if asked else None
        return closing or features.lacking(_BIN, entry, service.version, said["finalised"])

    return Initialisation(Script(LOOK, text, _kafka_login.patience(asked) + features.PATIENCE), following, closed=bool(asked))


def _asked(service: Service, environment: Environment) -> dict[str, str]:
    """Of each member its host and ports, as words."""
    controllers, asked = Options.model_validate(service.options).controllers, {}
    for one in member.members(service, environment):
        ports = [INTERNAL, CLIENT, *([CONTROLLER] if one.ordinal < controllers else [])]
        asked[one.name] = " ".join(map(str, [cloud.fqdn(environment, one.name), *ports]))
    return asked


def leader(service: Service, environment: Environment) -> Script:
    """The active controller: while another is voted for, no partition that loses its leader gets a new one."""
    text = f"""\
{_entry(service, environment).begin}status=$({_BIN}/kafka-metadata-quorum.sh "${{at[@]}}" describe --status) || exit 1
id=$(sed -n 's/^LeaderId:[[:space:]]*//p' <<<"$status")
say "{{\\"{LEADER}\\": \\"${{id:+{service.name}-$id}}\\"}}"
"""
    return Script(LOOK, text)


def drain(service: Service, environment: Environment, leaving: tuple[str, ...]) -> Initialisation:
    """Partitions are moved off brokers before these go; controllers are among the first members, of whom none may go."""
    going = [int(name.rpartition("-")[2]) for name in leaving]
    moves = _kafka_moves.Moves(_BIN, _entry(service, environment), range(service.replicas), going)
    return Initialisation(moves.look, moves.next)


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    yield from login.checks(service)
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
    secrets=login.secrets,
    rotation=login.rotate,
    initialise=initialise,
    leader=leader,
    drain=drain,
    remembers=lambda _: "the id of the cluster, which is that of its name, and its controllers' addresses",
)
