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

With `auth: true` clients log in as the user `admin` (SASL, DIGEST-MD5), and members to each other; the service is ready only once each
member refuses strangers and takes the password. It is made once and lies in the Secret `<service>-auth`, key `password`;
`options.password` names another Secret instead. It is for a service from its beginning, or never: a plan refuses to switch it. What
strangers still may are the words `ruok`, `srvr` and `mntr`, which say how a member is. Without it, security groups or network policies have
to say who may connect.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.kinds import Check, ServiceType
from reconciler.model.document import Flag, Positive
from reconciler.model.environment import Environment
from reconciler.model.initialise import LEADER, LOOK, Initialisation, Script
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import cloud, java, login, member, rules, workload

CLIENT, PEER, ELECTION = 2181, 2888, 3888
_PATHS = {"data": "/data", "journal": "/datalog"}
_JAAS = f"{workload.OWN_PATH}/jaas.conf"
_DIGEST = "org.apache.zookeeper.server.auth.DigestLoginModule required"
_ENTER = 20  # seconds for a client to find out whether it gets in
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


# Of clients by any member that they reach, and of members: https://zookeeper.apache.org/doc/r3.9.4/zookeeperAdmin.html#sc_authOptions
_AUTHENTICATED = {
    "authProvider.sasl": "org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
    "enforce.auth.enabled": "true",
    "enforce.auth.schemes": "sasl",
    "quorum.auth.enableSasl": "true",
    "quorum.auth.learnerRequireSasl": "true",
    "quorum.auth.serverRequireSasl": "true",
}


class Options(login.Options):
    """What zoo.cfg and the JVM are told beside names and places."""

    heap: Quantity = Quantity.parse("512Mi")
    tick_time: Positive = 2000  # milliseconds
    init_limit: Positive = 10
    sync_limit: Positive = 5
    max_client_cnxns: Positive = 60
    autopurge: Flag = True


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    files = {f"{one.name}.cfg": _config(service, environment, one.name) for one in member.members(service, environment)}
    auth = login.options(service).auth
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts={name: path for name, path in _PATHS.items() if name in service.volumes},
            files=files | ({"java.security": java.SECURITY} if auth else {}),
            signature=_config(service, environment, f"{service.name}-0"),
            ports={"client": CLIENT, "peer": PEER, "election": ELECTION},
            secrets=login.mounted(service),
            preparing=(*((_authentication(service),) if auth else ()), _identity(service, environment)),
            begun=login.begun(service),
            spare=member.spare(service.replicas),
        ),
    )


def _container(service: Service) -> dict[str, Any]:
    options = Options.model_validate(service.options)
    # not in JVMFLAGS, which clients have too
    enters = [{"name": "SERVER_JVMFLAGS", "value": _jaas_flags(_JAAS)}] if options.auth else []
    return {
        "name": "zookeeper",
        "image": _image(service),
        "args": ["zkServer.sh", "start-foreground", f"{workload.CONFIG_PATH}/$(MEMBER).cfg"],
        "env": [
            {"name": "JVMFLAGS", "value": f"{java.heap_flags(options.heap)} {java.FRESH_NAMES}"},
            *enters,
            {"name": "JMXDISABLE", "value": "true"},
        ],
        "readinessProbe": workload.readiness(_PROBE),
    }


def _image(service: Service) -> str:
    return f"zookeeper:{service.version}"


def _jaas_flags(file: str) -> str:
    return f"-Djava.security.auth.login.config={file} -Djava.security.properties={workload.CONFIG_PATH}/java.security"


def _authentication(service: Service) -> dict[str, Any]:
    """Who is let in, and how members log in to each other: in the Pod's memory, so that no password lies in a ConfigMap."""
    script = f"""\
{java.QUOTED}umask 077
admin=$(quoted {login.PASSWORD}) internal=$(quoted {login.INTERNAL})
cat > {_JAAS} <<END
Server {{ {_DIGEST} user_{login.ADMIN}="$admin"; }};
QuorumServer {{ {_DIGEST} user_{login.MEMBERS}="$internal"; }};
QuorumLearner {{ {_DIGEST} username="{login.MEMBERS}" password="$internal"; }};
END
if [ "$(id -u)" = 0 ] && id zookeeper > /dev/null 2>&1; then chown zookeeper {_JAAS}; fi  # as whom the image's entrypoint starts the server
"""
    return workload.own_files("authentication", _image(service), script)


def _identity(service: Service, environment: Environment) -> dict[str, Any]:
    return {
        "name": "identity",
        "image": _image(service),
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
    if options.auth:
        settings |= _AUTHENTICATED
    for one in member.members(service, environment):
        settings[f"server.{one.ordinal + 1}"] = f"{cloud.fqdn(environment, one.name)}:{PEER}:{ELECTION}"
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def initialise(service: Service, environment: Environment) -> Initialisation | None:
    """Nothing has to be done; but that nobody gets in without the password has to be seen, of each member."""
    if not login.options(service).auth:
        return None
    asked = "".join(f"enter {one.name} {cloud.fqdn(environment, one.name)}\n" for one in member.members(service, environment))
    flags = f"{_jaas_flags('$own/jaas.conf')} -Dzookeeper.sasl.client.canonicalize.hostname=false"
    text = f"""\
{java.QUOTED}umask 077
own=$(mktemp -d) access=
cat > "$own/jaas.conf" <<END
Client {{ {_DIGEST} username="{login.ADMIN}" password="$(quoted {login.PASSWORD})"; }};
END
unset JVMFLAGS
ask() {{ timeout {_ENTER} zkCli.sh -server "$1:{CLIENT}" ls / < /dev/null 2>&1; }}
enter() {{
  if ask "$2" > "$own/said"; then how=open
  elif ! grep -q 'client failed to authenticate' "$own/said"; then how=silent
  elif CLIENT_JVMFLAGS="{flags}" ask "$2" > "$own/said"; then how=closed
  else how=wrong; fi
  access+="${{access:+, }}\\"$1\\": \\"$how\\""
}}
{asked}say "{{$access}}"
"""
    return Initialisation(Script(LOOK, text, _ENTER + 2 * _ENTER * service.replicas), login.lacking, closed=True)


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
    yield from login.checks(service)
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
    secrets=login.secrets,
    rotation=login.rotate,
    initialise=initialise,
    leader=leader,
    refills=member.refilled_by_majority,
)
