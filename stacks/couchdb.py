"""CouchDB: a cluster without a leader, its databases cut into shards; copies of a shard lie with different members, in different zones.

    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: docs}
    spec:
      type: couchdb
      version: "3.5.2"
      replicas: 3
      volumes: {data: {size: 50Gi}}
      options: {q: 2, n: 3, maxDocumentSize: 8M, cors: {origins: ["https://app.example.com"], credentials: true}}

Nobody gets in without a password, from the first start (but for `/_up`, which says whether a member works). That of `admin` is made once
and lies in the Secret `<service>-auth`, key `password`; `options.password` names another Secret instead, as it is when a member starts.
Members know each other by their names (`couchdb@<name>`) and talk Erlang at one port, 9100, without a port mapper; cookie, UUID, the
secret that signs sessions, and the salt of the password's hash are the same for all, made once, in `<service>-cluster`.

Members join one another, are told their zones, and then make `_users`, `_replicator` and `_global_changes`; use it once that is through.
New members join, but CouchDB moves no data to them by itself, nor off those that leave: fewer members are waited for until a person has
moved their copies. A database keeps the number of copies that it was made with, so `n` is for ever. No TLS, and no CouchDB 1 or 2.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from reconciler.kinds import Check, MemberPlan, ServiceType
from reconciler.model.document import Distinct, Flag, NotEmpty, Part, Positive, SecretRef, Text
from reconciler.model.environment import Environment
from reconciler.model.initialise import Generated, Initialisation
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.resources import cloud, member, rules, workload
from stacks._couchdb_cluster import Cluster

HTTP, ERLANG = 5984, 9100
_HOME = "/opt/couchdb"
_USER = 5984  # couchdb in these images, and its group
_COPIES = 3
_MOST = 20  # members: what they say of each other has to fit a look's answer
_LENGTH = 32  # characters of each secret: 190 bits
_CLUSTER = ("cookie", "uuid", "secret", "salt")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?")


class Cors(Part):
    """Whose pages a browser lets ask this server."""

    origins: Annotated[tuple[Text, ...], NotEmpty, Distinct]  # https://host[:port], or * for all
    credentials: Flag = False


class Options(Part):
    """What CouchDB is told beside names and places."""

    q: Positive = 2  # shards of a database that is made from now on
    n: Positive | None = None  # copies of each shard, for ever; 3, or 1 where there are fewer than 3 members
    max_document_size: Quantity = Quantity.parse("8M")
    cors: Cors | None = None
    password: SecretRef | None = None  # of admin, in the service's namespace; without it one is made


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    plan, copies = member.members(service, environment), _copies(service)
    config = _ini(_settings(service, plan))
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts={"data": f"{_HOME}/data"} if "data" in service.volumes else {},
            files={"couchdb.ini": config, "start.sh": _START},
            signature=[config, _START],
            ports={"http": HTTP, "erlang": ERLANG},
            secrets=_mounted(service),
            preparing=(_secret_files(environment),),
            spare=member.spare(copies),
            security={"runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER, "fsGroupChangePolicy": "OnRootMismatch"},
            fixed={"n": str(copies)},
        ),
        plan,
    )


def _container(service: Service) -> dict[str, Any]:
    listen = "$(FQDN)" if member.has_interface(service) else "0.0.0.0"  # noqa: S104 - in a Pod, which is alone
    # Erlang reads its cookie at HOME; the image's entrypoint makes the node's name of NODENAME
    told = {"NODENAME": "$(FQDN)", "LISTEN": listen, "HOME": workload.OWN_PATH}
    return {
        "name": "couchdb",
        "image": f"couchdb:{service.version}",
        "command": ["bash", f"{workload.CONFIG_PATH}/start.sh"],
        "env": [{"name": name, "value": value} for name, value in told.items()],
        "readinessProbe": workload.readiness(f'curl -fsS --max-time 4 -o /dev/null "http://$FQDN:{HTTP}/_up"'),
    }


# The address is looked up: neither CouchDB nor Erlang listens at a name. What is changed at run time goes to docker.ini, the last file.
_START = f"""\
set -e
address=$(getent ahostsv4 "$LISTEN" | {{ read -r first _; echo "$first"; }})
[[ $address ]] || {{ echo "$LISTEN has no address"; exit 1; }}
local={_HOME}/etc/local.d
ln -sfn {workload.CONFIG_PATH}/couchdb.ini $local/10-service.ini
ln -sfn {workload.OWN_PATH}/secret.ini $local/20-secret.ini
printf '[chttpd]\\nbind_address = %s\\n' "$address" > $local/30-address.ini
export ERL_FLAGS="-start_epmd false -erl_epmd_port {ERLANG} -kernel inet_dist_use_interface {{${{address//./,}}}}"
exec tini -- /docker-entrypoint.sh {_HOME}/bin/couchdb
"""


def _options(service: Service) -> Options:
    return Options.model_validate(service.options)


def _copies(service: Service) -> int:
    """How many copies of a shard there are."""
    return _options(service).n or (_COPIES if service.replicas >= _COPIES else 1)


# --- its configuration: the same for all members


def _settings(service: Service, plan: tuple[MemberPlan, ...]) -> dict[str, dict[str, Any]]:
    options, placement = _options(service), _placement(plan, _copies(service))
    found: dict[str, dict[str, Any]] = {
        "couchdb": {"single_node": "false", "max_document_size": options.max_document_size.bytes},
        "cluster": {"q": options.q, "n": _copies(service), **({"placement": placement} if placement else {})},
        "chttpd": {
            "port": HTTP,
            "require_valid_user": "true",
            "require_valid_user_except_for_up": "true",
            "enable_cors": _word(on=options.cors is not None),
        },
    }
    if options.cors:
        found["cors"] = {"origins": ", ".join(options.cors.origins), "credentials": _word(on=options.cors.credentials)}
    return found


def _placement(plan: tuple[MemberPlan, ...], copies: int) -> str:
    """How many copies of a shard lie in each zone, as even as members allow.

    "" with one zone, and where there are fewer copies than zones: those that were named would get all the data. CouchDB takes members
    whose names follow each other then.
    """
    room = Counter(one.zone for one in plan)
    if len(room) == 1 or not len(room) <= copies <= len(plan):
        return ""
    placed: Counter[str] = Counter()
    for _ in range(copies):
        placed[min((zone for zone in room if placed[zone] < room[zone]), key=lambda zone: placed[zone])] += 1
    return ",".join(f"{zone}:{placed[zone]}" for zone in room)


def _ini(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """An ini file; that no value holds what begins a comment or another line is for `check`."""
    lines = ((f"[{name}]", *(f"{key} = {value}" for key, value in fields.items())) for name, fields in sections.items())
    return "".join(f"{line}\n" for section in lines for line in section)


def _word(*, on: bool) -> str:
    return "true" if on else "false"


# --- secrets


def _auth_name(service: Service) -> str:
    return f"{service.name}-auth"


def _cluster_name(service: Service) -> str:
    return f"{service.name}-cluster"


def _mounted(service: Service) -> dict[str, SecretRef]:
    own = _options(service).password or SecretRef(name=_auth_name(service), key="password")
    return {"password": own, **{name: SecretRef(name=_cluster_name(service), key=name) for name in _CLUSTER}}


def secrets(service: Service, _environment: Environment) -> tuple[Generated, ...]:
    """The password, unless somebody else's is named, and what members have in common."""
    common = Generated(_cluster_name(service), dict.fromkeys(_CLUSTER, _LENGTH))
    return (common,) if _options(service).password else (Generated(_auth_name(service), {"password": _LENGTH}), common)


def _secret_files(environment: Environment) -> dict[str, Any]:
    """In our own image, which has Python: the password is hashed before a server sees it."""
    made = workload.own_files("secrets", environment.sessions.image, "")
    return {**made, "command": ["python", "-m", "runner.couchdb"]}


# --- how it is


def _cluster(service: Service, environment: Environment) -> Cluster:
    plan = member.members(service, environment)
    hosts = {one.name: cloud.fqdn(environment, one.name) for one in plan}
    return Cluster(hosts, {one.name: one.zone for one in plan}, HTTP, f"{workload.SECRETS_PATH}/password")


def initialise(service: Service, environment: Environment) -> Initialisation:
    return _cluster(service, environment).initialisation()


def drain(service: Service, environment: Environment, leaving: tuple[str, ...]) -> Initialisation:
    return _cluster(service, environment).drain({name: cloud.fqdn(environment, name) for name in leaving})


# --- what cannot work


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    yield from rules.volumes(service, "CouchDB", ["data"])
    options = _options(service)
    if service.replicas == 2:  # noqa: PLR2004
        yield "replicas", "a majority of two copies is two, so that either member stops both", "choose 1 or 3"
    if service.replicas > _MOST:
        yield "replicas", f"{_MOST} members at most: more say more of each other than the reconciler reads", f"choose {_MOST} or fewer"
    if options.n and options.n % 2 == 0:
        yield (
            "options.n",
            f"a majority of {options.n} copies survives no more losses than one of {options.n - 1} would",
            "choose an odd number",
        )
    elif options.n and options.n > service.replicas:
        yield "options.n", f"{service.replicas} members cannot hold {options.n} copies of a shard", "choose fewer, or add members"
    if options.cors:
        yield from _origins(options.cors)


def _origins(cors: Cors) -> Iterator[Check]:
    if cors.credentials and "*" in cors.origins:
        why = "every page of the world could ask in the name of whoever is logged in, which browsers refuse"
        yield "options.cors.credentials", why, "name the origins, or leave credentials out"
    for origin in cors.origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            yield "options.cors.origins", f"{origin!r} is no origin", "write https://host or https://host:port, or *"


SERVICE = ServiceType(
    name="couchdb",
    level="rendered",
    versions=("3.5.2", "3.5.1", "3.4.3"),
    resources=resources,
    members=member.members,
    options=Options,
    check=check,
    remembers=lambda _: "its members' names, by which each database says who holds what",
    secrets=secrets,
    initialise=initialise,
    drain=drain,
)
