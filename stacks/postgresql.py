"""PostgreSQL under Patroni: one member leads, the others stream from it, and where the leader is lost another takes over by itself.

    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: orders}
    spec:
      type: postgresql
      version: "18"
      replicas: 3
      volumes: {data: {size: 100Gi}, journal: {size: 20Gi}}
      resources: {limits: {memory: 4Gi}}
      options: {sharedBuffers: 1Gi, maxConnections: 200, parameters: {work_mem: 16MB}}

Patroni keeps who leads in ConfigMaps `<service>.patroni-…` of the namespace, so no other store is needed. Passwords are made once and lie
in the Secret `<service>-auth`, keys superuser (user postgres), replication, rewind and rest; `options.password` names another Secret for
the first. Whoever comes over the network needs one, by SCRAM; the service is ready once each member refuses those without. With
`synchronousMode: on` a write is acknowledged once a second member has it, so that a failover loses none. The optional volume `journal`
takes the write-ahead log. Options reach PostgreSQL without a restart of Pods; where PostgreSQL itself needs one, the leader comes last.

`rotation: 1` (2, 3 … later on) exchanges all four. Who streams and who rewinds are other users in each generation (replicator_1,
rewind_1), so that members of two understand each other; the user postgres has the former password until all have restarted.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources as packages
from typing import Annotated, Any, Literal

from pydantic import Field, Strict

from reconciler.kinds import Check, ServiceType
from reconciler.model.document import Flag, Part, Positive, SecretRef, Whole
from reconciler.model.environment import Environment
from reconciler.model.initialise import LEADER, LOOK, Generated, Initialisation, Next, Rotation, Said, Script
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.model.upgrades import Upgrades
from reconciler.resources import cloud, member, rotation, rules, workload

PORT, REST = 5432, 8008
IMAGES = {"18": "ghcr.io/zalando/spilo-18:4.1-p2", "17": "ghcr.io/zalando/spilo-17:4.0-p3"}
# https://www.postgresql.org/docs/current/upgrading.html; replicas are copies of the primary's files, so they cannot go before or after it
_ANOTHER_SERVER = (
    "PostgreSQL takes no data of another major version, so its members cannot go there one at a time; make a new service of that version, "
    "and have pg_dump and psql, or a subscription, bring the data there"
)
_USER, _GROUP = 101, 103  # postgres in these images
_PATHS = {"data": "/data", "journal": "/journal"}
_WAL = "/journal/pg_wal"
_SUPERUSER = {"superuser": "postgres"}
_OF_MEMBERS = {"replication": "replicator", "rewind": "rewind"}  # as whom they come to each other
_SECRETS = (*_SUPERUSER, *_OF_MEMBERS, "rest")
_LENGTH = 32  # characters of a password: 190 bits
_ASKING = "patroni.py"  # runner/patroni.py, in the ConfigMap
_COPYING = "patroni_copy.py"  # runner/patroni_copy.py, beside it
_STOPS_WITHIN = 120  # seconds: the last checkpoint of a busy primary
_SETTLED = 3.0  # seconds: Patroni knows what waits for a restart one second after PostgreSQL has loaded its configuration
_RESTARTS_WITHIN = 900
_LOOKED_AFTER = 10  # seconds: how often it is asked whether it lives
_SENDERS = 10  # max_wal_senders, unless a parameter says otherwise
_MARK = "reconciler.configuration"  # a parameter of our own: which configuration a server has loaded
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?")
_PLACES = ("config_file", "data_directory", "external_pid_file", "hba_file", "ident_file", "unix_socket_directories")
_OURS = {
    "max_connections": "write options.maxConnections instead",
    "shared_buffers": "write options.sharedBuffers instead",
    "synchronous_standby_names": "Patroni sets it: write options.synchronousMode instead",
    **dict.fromkeys(("fsync", "full_page_writes"), "without it a crash loses or breaks what was acknowledged"),
    **dict.fromkeys(("listen_addresses", "port"), "members find each other at the usual one"),
    **dict.fromkeys(("cluster_name", "hot_standby", "primary_conninfo", "primary_slot_name", "wal_log_hints"), "Patroni sets it"),
    **dict.fromkeys(_PLACES, "its place is fixed"),
    "password_encryption": "passwords are checked by SCRAM",
    _MARK: "it is how we know what a server has loaded",
}


class Options(Part):
    """What PostgreSQL and Patroni are told beside names and places."""

    max_connections: Annotated[int, Strict(), Field(ge=25)] = 100
    shared_buffers: Quantity = Quantity.parse("128Mi")
    parameters: dict[str, Flag | Whole | Annotated[float, Strict()] | str] = Field(default_factory=dict)  # of postgresql.conf
    synchronous_mode: Literal["off", "on", "quorum"] = "on"
    synchronous_strict: Flag = False  # rather no write than one that a single member has
    ttl: Annotated[int, Strict(), Field(ge=20)] = 30  # seconds until a leader that is silent has lost its place
    loop_wait: Positive = 10
    retry_timeout: Annotated[int, Strict(), Field(ge=3)] = 10
    password: SecretRef | None = None  # of the superuser, in the service's namespace; without it one is made


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    static = _static(service)
    started = {"bootstrap": {**static["bootstrap"], "dcs": configuration(service)}}
    mounts = {name: path for name, path in _PATHS.items() if name in service.volumes}
    shared = {"patroni.yml": _yaml({**static, **started}), **{name: _script(name) for name in (_ASKING, _COPYING)}}
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts=mounts,
            files={**shared, **_known(service, environment)},
            signature=static,  # not of what Patroni changes by itself
            ports={"postgresql": PORT, "patroni": REST},
            secrets=_mounted(service),
            former=_former(service),
            preparing=(_passwords(service), _copied(service, environment, mounts)),
            grace=_STOPS_WITHIN,
            labels={"application": "patroni", "cluster-name": _scope(service)},
            security={"runAsUser": _USER, "runAsGroup": _GROUP, "fsGroup": _GROUP, "fsGroupChangePolicy": "OnRootMismatch"},
            rules=_rules(service, environment),
        ),
    )


def _container(service: Service) -> dict[str, Any]:
    at = {"POSTGRESQL": f"$(FQDN):{PORT}", "RESTAPI": f"$(FQDN):{REST}"}
    told = {"PATRONI_NAME": "$(MEMBER)", **{f"PATRONI_{name}_CONNECT_ADDRESS": address for name, address in at.items()}}
    if member.has_interface(service):
        told |= {f"PATRONI_{name}_LISTEN": address for name, address in at.items()}
    return {
        "name": "postgresql",
        "image": IMAGES[service.version],
        "command": ["patroni", workload.OWN_PATH],  # all files there, one laid over the other
        "env": [{"name": name, "value": value} for name, value in told.items()],
        "readinessProbe": workload.readiness(_answers("readiness")),
        "livenessProbe": workload.readiness(_lives(service), _LOOKED_AFTER),
    }


def _lives(service: Service) -> str:
    """A Patroni that hangs cannot give up its leadership. What names say is not its fault: where it takes one, that may fail."""
    if member.has_interface(service):
        return f'getent hosts "$FQDN" > /dev/null || exit 0\n{_answers("liveness")}'
    return _answers("liveness", "localhost")


def _answers(path: str, host: str = "$FQDN") -> str:
    """Whether Patroni says yes to *path*, in a shell that has no HTTP client."""
    asked = f"exec 3<>\"/dev/tcp/{host}/{REST}\" && printf 'GET /{path} HTTP/1.0\\r\\n\\r\\n' >&3 && read -r _ code _ <&3"
    return f'{asked} && {{ [[ $code == 200 ]] || {{ echo "{path}: $code" >&2; exit 1; }}; }}'


def _options(service: Service) -> Options:
    return Options.model_validate(service.options)


def _scope(service: Service) -> str:
    """Patroni's name for it. A dot is in no service's name, so that no ConfigMap of Patroni's has the name of one of ours."""
    return f"{service.name}.patroni"


def _auth_name(service: Service) -> str:
    return f"{service.name}-auth"


def _mounted(service: Service) -> dict[str, SecretRef]:
    own, made = _options(service).password, rotation.name(_auth_name(service), service.rotation)
    return {name: SecretRef(name=made, key=name) for name in _SECRETS} | ({"superuser": own} if own else {})


def _former(service: Service) -> dict[str, SecretRef]:
    """What looks and steps come in by, of the generation before: own passwords are of none."""
    if not service.rotation:
        return {}
    made = rotation.name(_auth_name(service), service.rotation - 1)
    return {f"former-{name}": SecretRef(name=made, key=name) for name in (*_SUPERUSER, "rest")[bool(_options(service).password) :]}


def secrets(service: Service, _environment: Environment) -> tuple[Generated, ...]:
    """A password for each user, and one for Patroni's own API."""
    return (Generated(rotation.name(_auth_name(service), service.rotation), dict.fromkeys(_SECRETS, _LENGTH)),)


def _users(generation: int) -> dict[str, str]:
    """As whom members come to each other: a role has one password, so those of two generations need two."""
    return {name: f"{user}_{generation}" if generation else user for name, user in _OF_MEMBERS.items()}


def _roles(service: Service) -> dict[str, Any]:
    """What looks and steps know of them; nothing where there was never another generation."""
    if not service.rotation:
        return {}
    return {"roles": _users(service.rotation), "former": [one for n in range(service.rotation) for one in _users(n).values()]}


def _passwords(service: Service) -> dict[str, Any]:
    """Lay what Patroni reads beside each other: the ConfigMap's file, and one of passwords, in the Pod's memory."""
    script = f"""\
umask 077
python3 - <<'END'
import pathlib, yaml
own = {{name: pathlib.Path("{workload.SECRETS_PATH}", name).read_text().rstrip("\\n") for name in {list(_SECRETS)}}}
told = {{"restapi": {{"authentication": {{"username": "patroni", "password": own.pop("rest")}}}}}}
told["postgresql"] = {{"authentication": {{name: {{"password": password}} for name, password in own.items()}}}}
pathlib.Path("{workload.OWN_PATH}/passwords.yml").write_text(yaml.safe_dump(told), encoding="utf-8")
END
ln -sfn {workload.CONFIG_PATH}/patroni.yml {workload.OWN_PATH}/patroni.yml
"""
    return workload.own_files("passwords", IMAGES[service.version], script)


def _copied(service: Service, environment: Environment, mounts: Mapping[str, str]) -> dict[str, Any]:
    """Make data that was another service's this one's, before Patroni finds it."""
    own = workload.own_files("copy", IMAGES[service.version], f"exec python3 {workload.CONFIG_PATH}/{_COPYING}\n", environment)
    listen = [{"name": "LISTEN", "value": "$(FQDN)"}] if member.has_interface(service) else []
    volumes = [{"name": name, "mountPath": path} for name, path in mounts.items()]
    return {**own, "env": [*own["env"], *listen], "volumeMounts": [*own["volumeMounts"], *volumes]}


def _known(service: Service, environment: Environment) -> dict[str, str]:
    """What `runner/patroni_copy.py` reads: the members, as whom they come to each other, and whether they are to begin with copies."""
    members = "".join(f"{name} {host}\n" for name, host in _hosts(service, environment).items())
    copied = service.restore_from and service.restore_from.service
    roles = "".join(f"{name} {user}\n" for name, user in _users(service.rotation).items())
    return {"members": members, "roles": roles, **({"restored": f"{copied}\n"} if copied else {})}


def _static(service: Service) -> dict[str, Any]:
    """patroni.yml but for what Patroni keeps and changes by itself. The same for all members, however many there are."""
    journal = [{"waldir": _WAL}] if "journal" in service.volumes else []
    return {
        "scope": _scope(service),
        "kubernetes": {"namespace": service.namespace, "labels": {"application": "patroni"}, "use_endpoints": False},
        "restapi": {"listen": f":{REST}"},
        # C.UTF-8: an order that no other version of the system's library changes, so that indexes outlive upgrades of the image
        "bootstrap": {"initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums", *journal]},
        "postgresql": {
            "listen": f"*:{PORT}",
            "data_dir": "/data/pgdata",
            "pgpass": f"{workload.OWN_PATH}/pgpass",
            "use_unix_socket": True,
            "parameters": {"unix_socket_directories": "/tmp", "password_encryption": "scram-sha-256"},  # noqa: S108 - in a Pod, which is alone
            # Patroni comes without a password to its own server, whose files it owns: so that of its superuser may change at any time.
            "pg_hba": [
                "local all postgres peer",
                "local all all scram-sha-256",
                "host replication all all scram-sha-256",
                "host all all all scram-sha-256",
            ],
            "authentication": {name: {"username": user} for name, user in {**_SUPERUSER, **_users(service.rotation)}.items()},
            "basebackup": [{"checkpoint": "fast"}, *journal],  # one that joins does not wait for the next checkpoint
        },
    }


def configuration(service: Service) -> dict[str, Any]:
    """What Patroni keeps for all members, and changes without new Pods."""
    options = _options(service)
    told: dict[str, Any] = {
        "max_connections": options.max_connections,
        "shared_buffers": f"{options.shared_buffers.bytes // 1024}kB",
        "max_wal_senders": _SENDERS,
        "max_replication_slots": _SENDERS,
        **options.parameters,
    }
    found = {
        "ttl": options.ttl,
        "loop_wait": options.loop_wait,
        "retry_timeout": options.retry_timeout,
        "maximum_lag_on_failover": 2**20,
        "failsafe_mode": True,  # a leader stays one while the API server is away and all members hear it
        "synchronous_mode": {"off": False, "on": True}.get(options.synchronous_mode, options.synchronous_mode),
        "synchronous_mode_strict": options.synchronous_strict,
        "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": told},
    }
    told[_MARK] = workload.checksum(found)
    return found


def _yaml(value: Mapping[str, Any]) -> str:
    """JSON, which is YAML in every one of its versions: no text turns into a number, a date or a no."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _rules(service: Service, environment: Environment) -> tuple[dict[str, Any], ...]:
    """Patroni writes its own four ConfigMaps and notes on its own Pods; making and listing cannot be had for some names only."""
    kept = [f"{_scope(service)}-{what}" for what in ("config", "failover", "leader", "sync")]
    names = [one.name for one in member.members(service, environment)]
    core = {"apiGroups": [""]}
    return (
        {**core, "resources": ["configmaps"], "verbs": ["create", "list", "watch"]},
        {**core, "resources": ["configmaps"], "resourceNames": kept, "verbs": ["get", "patch"]},
        {**core, "resources": ["pods"], "verbs": ["list", "watch"]},
        {**core, "resources": ["pods"], "resourceNames": names, "verbs": ["get", "patch"]},
    )


@cache
def _script(name: str) -> str:
    return packages.files("runner").joinpath(name).read_text(encoding="utf-8")


def initialise(service: Service, environment: Environment) -> Initialisation:
    """Patroni makes the cluster by itself; it has to be asked, and given what has changed since."""
    declared, hosts, roles = configuration(service), _hosts(service, environment), _roles(service)
    run = {does: _ask(does, hosts=hosts, configuration=declared) for does in ("write", "restart")}
    steps = {
        "write": Script("give Patroni its configuration", f"{run['write']}\n"),
        "restart": Script(
            "restart PostgreSQL where its configuration waits for it, the leader last", f"{run['restart']}\n", _RESTARTS_WITHIN
        ),
        "give": _give(hosts, roles),
        "retire": Script("let nobody in by the former passwords", f"{_ask('retire', hosts=hosts, **roles)}\n"),
    }
    look = _saying("look", hosts=hosts, configuration=declared, **roles)
    mark = declared["postgresql"]["parameters"][_MARK]
    return Initialisation(look, lambda said: _next(said, list(hosts), mark, steps), closed=True)


def rotate(service: Service, environment: Environment) -> Rotation:
    """Nobody restarts before all know the users as whom who has restarted comes; those of before, and their Secret, go at the very end."""
    hosts, roles = _hosts(service, environment), _roles(service)
    give = _give(hosts, roles)
    before = Initialisation(_saying("keys", hosts=hosts, **roles), lambda said: give if "late" in said["members"].values() else None)
    return Rotation(before, rotation.former(_auth_name(service), service.rotation))


def _give(hosts: Mapping[str, str], roles: Mapping[str, Any]) -> Script:
    return Script("make the users of members that restart", f"{_ask('give', hosts=hosts, **roles)}\n")


def _hosts(service: Service, environment: Environment) -> dict[str, str]:
    return {one.name: cloud.fqdn(environment, one.name) for one in member.members(service, environment)}


def _ask(does: str, **facts: Any) -> str:
    """The command by which `runner/patroni.py` does something in a Job."""
    return f"python3 {workload.CONFIG_PATH}/{_ASKING} {does} {shlex.quote(json.dumps(facts))}"


def leader(service: Service, environment: Environment) -> Script:
    """Whom Patroni has lead: its restart stops writes until another does."""
    return _saying("leader", hosts=_hosts(service, environment))


def hand_over(service: Service, environment: Environment, leaders: tuple[str, ...]) -> Script | None:
    """Patroni's switchover: the leader ends in good order once a standby has everything, and that one takes over at once."""
    return _switchover(_hosts(service, environment), leaders) if service.replicas > 1 else None


def drain(service: Service, environment: Environment, leaving: tuple[str, ...]) -> Initialisation:
    """Who leads and is to go has another lead before; who follows may go at any time."""
    hosts = _hosts(service, environment) | {name: cloud.fqdn(environment, name) for name in leaving}

    def decide(said: Said) -> Next:
        if not said[LEADER]:
            return "one member leads"
        return _switchover(hosts, leaving) if said[LEADER] in leaving else None

    return Initialisation(_saying("leader", hosts=hosts), decide)


def _switchover(hosts: Mapping[str, str], leaving: tuple[str, ...]) -> Script:
    return Script("have another member lead", f"{_ask('switch', hosts=hosts, leaving=leaving)}\n", _RESTARTS_WITHIN)


def _saying(does: str, **facts: Any) -> Script:
    """A look."""
    return Script(LOOK, f'said=$({_ask(does, **facts)}) && say "$said"\n')


def _next(said: Said, names: list[str], mark: str, steps: Mapping[str, Script]) -> Next:
    members: Mapping[str, Mapping[str, Any]] = said.get("members", {})
    of = {name: members.get(name, {}) for name in names}
    leaders = [name for name, one in of.items() if one.get("role") == "primary"]
    if len(leaders) != 1:
        return "one member leads" + (f" (now: {', '.join(leaders)})" if leaders else "")
    if any(one.get("entry") == "late" for one in of.values()):
        return steps["give"]
    if not said.get("stored"):
        return steps["write"]
    lacks = [f"{name} {lack}" for name, one in of.items() if (lack := _lack(one, leaders[0], of[leaders[0]], mark))]
    if lacks:
        return lacks[0]
    if any(one.get("former") for one in of.values()):
        return steps["retire"]
    return steps["restart"] if any(one.get("pending") for one in of.values()) else None


def _lack(one: Mapping[str, Any], leader: str, leading: Mapping[str, Any], mark: str) -> str:
    """What a member lacks that time mends, or a person."""
    if one is not leading and (one.get("state") != "streaming" or one.get("timeline") != leading.get("timeline")):
        return f"streams from {leader}"
    if one.get("rest") != "closed":
        return "answers" if one.get("rest") == "silent" else "refuses who would change its configuration without the password"
    lacks = {"open": "refuses who has no password", "wrong": "takes the password", "silent": "answers"}
    if lack := lacks.get(one.get("login", "silent")):
        return lack
    return "has loaded its configuration" if one.get("configuration") != mark or one.get("age", 0) < _SETTLED else ""


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    options = _options(service)
    yield from rules.volumes(service, "PostgreSQL", ["data"], ["journal"])
    least = options.loop_wait + 2 * options.retry_timeout
    if options.ttl < least:
        why = f"{options.ttl} s are over before Patroni has tried twice to keep its leadership: loopWait + 2 * retryTimeout is {least} s"
        yield "options.ttl", why, f"write {least} or more, or lower retryTimeout"
    if options.synchronous_strict and (options.synchronous_mode == "off" or service.replicas < 2):  # noqa: PLR2004 - a leader and another
        why = "it refuses every write without a second member that has it, and there is none"
        yield "options.synchronousStrict", why, "set synchronousMode: on and two replicas or more, or leave it out"
    yield from _memory(service, options)
    yield from _parameters(service, options)


def _memory(service: Service, options: Options) -> Iterator[Check]:
    limit, own = service.resources.limits.get("memory"), options.shared_buffers
    if own.bytes < 2**20:
        yield "options.sharedBuffers", f"{own} is less than 1Mi", "write a quantity such as 1Gi"
    if limit and 2 * own.bytes > limit.bytes:
        why = f"{own} is more than half of the limit of {limit}: connections and the page cache need the rest"
        yield "options.sharedBuffers", why, "write a quarter of limits.memory, or raise that"


def _parameters(service: Service, options: Options) -> Iterator[Check]:
    for name, value in options.parameters.items():
        if name in _OURS:
            yield f"options.parameters.{name}", f"{name} is not for a spec to set", _OURS[name]
        elif not _NAME.fullmatch(name):
            yield f"options.parameters.{name}", "it is no parameter's name", "write it as postgresql.conf does, in lower case"
        elif isinstance(value, str) and not value.isprintable():
            yield f"options.parameters.{name}", "it holds a character that cannot be printed", "a value is one line"
    if options.parameters.get("wal_level") == "minimal":
        yield "options.parameters.wal_level", "minimal leaves replicas nothing to stream", "write replica or logical"
    for name in ("max_wal_senders", "max_replication_slots"):
        many = options.parameters.get(name, _SENDERS)
        if not isinstance(many, int) or many < service.replicas:
            why = f"{name} is {many}, and {service.replicas} members need as many: each streams, and one that joins copies beside it"
            yield "replicas", why, f"write options.parameters.{name}: {2 * service.replicas}"


SERVICE = ServiceType(
    name="postgresql",
    level="rendered",
    versions=tuple(IMAGES),
    resources=resources,
    members=member.members,
    options=Options,
    check=check,
    secrets=secrets,
    initialise=initialise,
    leader=leader,
    hand_over=hand_over,
    drain=drain,
    rotation=rotate,
    refills=member.refilled_by_majority,
    upgrades=Upgrades(never=_ANOTHER_SERVER),
)
