"""ZooKeeper: an ensemble of an odd number of voters, each with a fixed id, data on a volume, and best with an address of its own.

    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: coordination}
    spec:
      type: zookeeper
      version: "3.8"
      replicas: 3
      addresses: none
      volumes: {data: {size: 10Gi}, journal: {size: 5Gi}}
      options: {heap: 512Mi}

With `addresses: private` a member keeps its address wherever it runs, which clients that resolve names only once need. The optional
volume `journal` takes the transaction log. Another number of replicas restarts all members: each has to know every other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.kinds import Check, ServiceType
from reconciler.model.document import Flag, Part, Positive
from reconciler.model.environment import Environment
from reconciler.model.initialise import LEADER, LOOK, Script
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import cloud, java, member, rules, workload

CLIENT, PEER, ELECTION = 2181, 2888, 3888
_PATHS = {"data": "/data", "journal": "/datalog"}
# Serving, not only running: a member without a quorum answers, but says that it is not.
_PROBE = f"""exec 3<>"/dev/tcp/$FQDN/{CLIENT}" && printf srvr >&3 && grep -q '^Mode: ' <&3"""
# The id belongs to the data: it is written once, and a volume with another id is another member's.
_IDENTITY = """
id=$((${MEMBER##*-} + 1))
if [ ! -s /data/myid ]; then echo "$id" > /data/myid; fi
if [ "$(cat /data/myid)" != "$id" ]; then
  echo "the volume holds the data of server $(cat /data/myid), but $MEMBER is server $id: give the member its own volume back"
  exit 1
fi
"""


class Options(Part):
    """What zoo.cfg and the JVM are told beside names and places."""

    heap: Quantity = Quantity.parse("512Mi")
    tick_time: Positive = 2000  # milliseconds
    init_limit: Positive = 10
    sync_limit: Positive = 5
    max_client_cnxns: Positive = 60
    autopurge: Flag = True


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    files = {f"{one.name}.cfg": _config(service, environment, one.name) for one in member.members(service, environment)}
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts={name: path for name, path in _PATHS.items() if name in service.volumes},
            files=files,
            signature=_config(service, environment, f"{service.name}-0"),
            ports={"client": CLIENT, "peer": PEER, "election": ELECTION},
            preparing=(_identity(service, environment),),
            spare=member.spare(service.replicas),
        ),
    )


def _container(service: Service) -> dict[str, Any]:
    heap = Options.model_validate(service.options).heap
    return {
        "name": "zookeeper",
        "image": f"zookeeper:{service.version}",
        "args": ["zkServer.sh", "start-foreground", f"{workload.CONFIG_PATH}/$(MEMBER).cfg"],
        "env": [
            {"name": "JVMFLAGS", "value": f"{java.heap_flags(heap)} {java.FRESH_NAMES}"},
            {"name": "JMXDISABLE", "value": "true"},
        ],
        "readinessProbe": workload.readiness(_PROBE),
    }


def _identity(service: Service, environment: Environment) -> dict[str, Any]:
    return {
        "name": "identity",
        "image": f"zookeeper:{service.version}",
        "command": ["bash", "-ec", _IDENTITY],
        "env": member.environment_variables(environment),
        "volumeMounts": [{"name": "data", "mountPath": _PATHS["data"]}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _config(service: Service, environment: Environment, name: str) -> str:
    """zoo.cfg of one member; all differ only where a member says its own name."""
    options = Options.model_validate(service.options)
    settings: dict[str, Any] = {
        "tickTime": options.tick_time,
        "initLimit": options.init_limit,
        "syncLimit": options.sync_limit,
        "maxClientCnxns": options.max_client_cnxns,
        "dataDir": _PATHS["data"],
        **({"dataLogDir": _PATHS["journal"]} if "journal" in service.volumes else {}),
        "clientPort": CLIENT,
        **({"clientPortAddress": cloud.fqdn(environment, name)} if member.has_interface(service) else {}),
        "quorumListenOnAllIPs": "false",
        "standaloneEnabled": "false",  # one member is an ensemble of one, and can be joined by others
        "reconfigEnabled": "false",
        "admin.enableServer": "false",
        "4lw.commands.whitelist": "ruok,srvr,mntr",
        "autopurge.snapRetainCount": 3,
        "autopurge.purgeInterval": 24 if options.autopurge else 0,
    }
    for one in member.members(service, environment):
        settings[f"server.{one.ordinal + 1}"] = f"{cloud.fqdn(environment, one.name)}:{PEER}:{ELECTION}"
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def leader(service: Service, environment: Environment) -> Script:
    """Who of the ensemble leads: its restart has the others vote, so it comes last."""
    names = {one.name: cloud.fqdn(environment, one.name) for one in member.members(service, environment)}
    asked = "".join(f"ask {name} {fqdn}\n" for name, fqdn in names.items())
    text = f"""\
leader=
ask() {{ if mode "$2" | grep -Eq '^Mode: (leader|standalone)'; then leader=$1; fi; }}
mode() {{ timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/{CLIENT}" && printf srvr >&3 && cat <&3' "$1"; }}
{asked}say "{{\\"{LEADER}\\": \\"$leader\\"}}"
"""
    return Script(LOOK, text)


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    yield from rules.odd(service)
    yield from rules.volumes(service, "ZooKeeper", ["data"], ["journal"])
    yield from rules.heap(service, Options.model_validate(service.options).heap, Quantity.parse("1Mi"))


SERVICE = ServiceType(
    name="zookeeper",
    level="rendered",
    versions=("3.8", "3.9"),
    resources=resources,
    members=member.members,
    options=Options,
    check=check,
    voters=lambda _service, members: members,
    leader=leader,
    refills=member.refilled_by_majority,
)
