"""MariaDB as a Galera cluster: every member takes reads and writes, and has what was acknowledged by any of them.

    apiVersion: reconciler/v1
    kind: Service
    metadata: {name: orders}
    spec:
      type: mariadb
      version: "11.8"
      replicas: 3
      volumes: {data: {size: 100Gi}}
      resources: {limits: {memory: 4Gi}}
      options: {bufferPool: 2Gi, maxConnections: 200, parameters: {innodb_log_file_size: 1G}}

Nobody is told to begin the cluster. A member that comes up alone asks the others (`runner/galera.sh`): it joins if one of them is in a
primary component, and if all of them wait, whoever has the latest transaction begins. While one that is declared does not answer, and
nobody runs, all wait. Passwords are made once and lie in the Secret `<service>-auth`, keys root, monitor and sst (the state transfer);
`options.password` names another Secret for the first, as it is when the service is made. Members know each other by certificates made of
the Secret `<service>-cluster`. The service is ready once each member takes root's password and refuses who has none, or no certificate.

`rotation: 1` (2, 3 … later on) exchanges the passwords: every account takes either until all members have restarted. What the certificates
are made of stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources as packages
from typing import Annotated, Any, TypeAlias

from pydantic import Field, Strict

from reconciler.kinds import Check, ServiceType
from reconciler.model.document import Flag, Part, Positive, SecretRef, Whole
from reconciler.model.environment import Environment
from reconciler.model.initialise import LOOK, Generated, Initialisation, Next, Rotation, Said, Script
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service
from reconciler.model.upgrades import Upgrades
from reconciler.resources import cloud, member, rotation, rules, workload

PORTS = {"mariadb": 3306, "sst": 4444, "position": 4566, "group": 4567, "ist": 4568}
_USER = 999  # mysql in these images, and its group
_DATA = "/var/lib/mysql"
_SCRIPT = "galera.sh"  # runner/galera.sh, in the ConfigMap
_USERS = ("root", "monitor", "sst")
_LENGTH, _CLUSTER_LENGTH = 32, 64  # characters of a password, and of what the members' key is made of
_STOPS_WITHIN = 120  # seconds: what is in memory is written
_PATIENCE = 60
_SMALLEST_POOL, _SMALLEST_CACHE = Quantity.parse("32Mi"), Quantity.parse("16Mi")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PREFIXES = ("loose_", "enable_", "disable_", "skip_", "maximum_")  # MariaDB takes them before any name
_FREE = frozenset({"wsrep_retry_autocommit", "wsrep_max_ws_size", "wsrep_max_ws_rows", "wsrep_log_conflicts"})
_PLACES = ("basedir", "bind_address", "datadir", "extra_port", "lc_messages_dir", "pid_file", "plugin_dir", "port", "socket", "tmpdir")
_OURS = {
    "innodb_buffer_pool_size": "write options.bufferPool instead",
    "max_connections": "write options.maxConnections instead",
    "wsrep_sync_wait": "write options.syncWait instead",
    "wsrep_slave_threads": "write options.appliers instead",
    **dict.fromkeys(("binlog_format", "default_storage_engine", "innodb_autoinc_lock_mode"), "Galera replicates rows of InnoDB's tables"),
    "innodb_flush_log_at_trx_commit": "without it what was acknowledged is lost once all members are killed",
    "innodb_doublewrite": "without it a crash can leave pages that are half written",
    **dict.fromkeys(("grant_tables", "name_resolve", "networking", "init_file"), "it says who gets in"),
    **dict.fromkeys(_PLACES, "its place is fixed"),
    "log_error": "the log is the container's",
    "wsrep": "members find and trust each other by it",
}

Setting: TypeAlias = bool | float | str


class Options(Part):
    """What MariaDB and Galera are told beside names and places."""

    buffer_pool: Quantity = Quantity.parse("128Mi")
    max_connections: Annotated[int, Strict(), Field(ge=10)] = 151
    write_set_cache: Quantity = Quantity.parse("128Mi")  # on the volume; who was away for no more than it holds copies no more than that
    appliers: Positive = 1  # threads that apply what others wrote
    sync_wait: Flag = False  # every statement first waits for what was acknowledged before, by whichever member
    parameters: dict[str, Flag | Whole | Annotated[float, Strict()] | str] = Field(default_factory=dict)  # of my.cnf
    password: SecretRef | None = None  # of root, in the service's namespace; without it one is made


def resources(service: Service, environment: Environment) -> tuple[Resource, ...]:
    shared = {"my.cnf": _config(service), "provider": _provider(service)}
    names = "".join(f"{name} {host}\n" for name, host in _hosts(service, environment).items())
    return workload.resources(
        service,
        environment,
        workload.Program(
            container=_container(service),
            mounts={"data": _DATA} if "data" in service.volumes else {},
            files={**shared, "members": names, _SCRIPT: _script()},
            signature=shared,
            ports=PORTS,
            secrets=_mounted(service),
            former=_former(service),
            grace=_STOPS_WITHIN,
            spare=member.spare(service.replicas),
            security={"runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER, "fsGroupChangePolicy": "OnRootMismatch"},
        ),
    )


def _container(service: Service) -> dict[str, Any]:
    return {
        "name": "mariadb",
        "image": f"mariadb:{service.version}",
        "command": ["bash", f"{workload.CONFIG_PATH}/{_SCRIPT}", "run"],
        "env": [{"name": "LISTEN", "value": "$(FQDN)" if member.has_interface(service) else "0.0.0.0"}],  # noqa: S104 - in a Pod, which is alone
        "readinessProbe": workload.readiness(_does("ready")),
        "livenessProbe": workload.readiness(_does("lives")),
    }


def _does(words: str) -> str:
    return f"bash {workload.CONFIG_PATH}/{_SCRIPT} {words}"


@cache
def _script() -> str:
    return packages.files("runner").joinpath(_SCRIPT).read_text(encoding="utf-8")


def _options(service: Service) -> Options:
    return Options.model_validate(service.options)


def _hosts(service: Service, environment: Environment) -> dict[str, str]:
    return {one.name: cloud.fqdn(environment, one.name) for one in member.members(service, environment)}


# --- its configuration: the same for all members, however many there are


def _config(service: Service) -> str:
    options, own = _options(service), workload.OWN_PATH
    server: dict[str, Setting] = {
        **options.parameters,
        "socket": f"{own}/mariadb.sock",
        "pid_file": f"{own}/mariadb.pid",
        "skip_name_resolve": True,
        "local_infile": False,
        "innodb_buffer_pool_size": options.buffer_pool.bytes,
        "innodb_flush_log_at_trx_commit": 1,
        "innodb_autoinc_lock_mode": 2,
        "default_storage_engine": "InnoDB",
        "binlog_format": "ROW",
        "max_connections": options.max_connections,
        "wsrep_on": True,
        "wsrep_provider": "/usr/lib/galera/libgalera_smm.so",
        "wsrep_cluster_name": service.name,
        "wsrep_slave_threads": options.appliers,
        "wsrep_sync_wait": 15 if options.sync_wait else 0,  # reads, updates, inserts, SHOW
        "wsrep_sst_method": "mariabackup",
    }
    files = {"tca": f"{own}/ca.pem", "tcert": f"{own}/cert.pem", "tkey": f"{own}/key.pem"}
    transfer: dict[str, Setting] = {"encrypt": 4, **files}  # 4: both sides show a certificate
    return f"[mysqld]\n{_lines(server)}[sst]\n{_lines(transfer)}"


def _lines(settings: Mapping[str, Setting]) -> str:
    return "".join(f"{name}={_value(value)}\n" for name, value in settings.items())


def _value(value: Setting) -> str:
    """As an option file has it; a text in quotes, in which nothing begins a comment."""
    match value:
        case bool():
            return "ON" if value else "OFF"
        case str():
            escaped = re.sub(r'["\\]', r"\\\g<0>", value)
            return f'"{escaped}"'
    return str(value)


def _provider(service: Service) -> str:
    """Galera's own options. What it remembers of a primary component is not used: members agree who begins another."""
    return f"gcache.size={_options(service).write_set_cache.bytes};pc.recovery=no\n"


# --- secrets


def _auth_name(service: Service) -> str:
    return f"{service.name}-auth"


def _cluster_name(service: Service) -> str:
    return f"{service.name}-cluster"


def _mounted(service: Service) -> dict[str, SecretRef]:
    own, made = _options(service).password, rotation.name(_auth_name(service), service.rotation)
    found = {name: SecretRef(name=made, key=name) for name in _USERS} | ({"root": own} if own else {})
    return {**found, "cluster": SecretRef(name=_cluster_name(service), key="cluster")}


def _rotated(service: Service) -> tuple[str, ...]:
    """Whose passwords are others in each generation: not root's, if it is somebody's own."""
    return _USERS[bool(_options(service).password) :]


def _former(service: Service) -> dict[str, SecretRef]:
    if not service.rotation:
        return {}
    made = rotation.name(_auth_name(service), service.rotation - 1)
    return {f"former-{name}": SecretRef(name=made, key=name) for name in _rotated(service)}


def secrets(service: Service, _environment: Environment) -> tuple[Generated, ...]:
    """A password for each user, and what the key of all members is made of."""
    return (
        Generated(rotation.name(_auth_name(service), service.rotation), dict.fromkeys(_USERS, _LENGTH)),
        Generated(_cluster_name(service), {"cluster": _CLUSTER_LENGTH}),
    )


# --- how it is


def initialise(service: Service, environment: Environment) -> Initialisation:
    """Members make the cluster by themselves, with its users; it has to be seen that they are one, and closed."""
    hosts = _hosts(service, environment)
    give, retire = _give(service, hosts), _step(service, hosts, "let nobody in by the former passwords", "retire")

    def decide(said: Said) -> Next:
        taken = said.get("taken", {}).values()
        if "former" in taken:
            return give
        return _next(said["members"], list(hosts)) or (retire if "both" in taken else None)

    return Initialisation(_look(service, hosts, "look"), decide, closed=True)


def rotate(service: Service, environment: Environment) -> Rotation:
    """Accounts are the cluster's: from the first step on all members take either password, whenever they start."""
    hosts = _hosts(service, environment)
    give = _give(service, hosts)
    before = Initialisation(_look(service, hosts, "keys"), lambda said: give if "former" in said["taken"].values() else None)
    return Rotation(before, rotation.former(_auth_name(service), service.rotation))


def _look(service: Service, hosts: Mapping[str, str], does: str) -> Script:
    told = " ".join(f"{name} {host}" for name, host in hosts.items())
    return Script(LOOK, f'said=$({_exchanging(service)}{_does(f"{does} {told}")}) && say "$said"\n', _PATIENCE)


def _give(service: Service, hosts: Mapping[str, str]) -> Script:
    return _step(service, hosts, "have accounts take the new passwords beside the former ones", "give")


def _step(service: Service, hosts: Mapping[str, str], does: str, word: str) -> Script:
    return Script(does, f"{_exchanging(service)}{_does(' '.join((word, *hosts.values())))}\n")


def _exchanging(service: Service) -> str:
    """What tells the script whose passwords have been others."""
    return f"rotated='{' '.join(_rotated(service))}' " if service.rotation else ""


def _next(said: Mapping[str, Said], names: list[str]) -> Next:
    for name in names:
        if lack := _lack(said.get(name, {}), len(names)):
            return f"{name} {lack}"
    if len({said[name]["cluster"] for name in names}) != 1:
        return "all members have one cluster's data"
    return None


def _lack(one: Said, size: int) -> str:
    """What a member lacks that time mends, or a person."""
    login, stranger = one.get("login"), one.get("stranger")
    if login != "in":
        return "takes the password" if login == "wrong" else "answers"
    if stranger != "refused":
        return "refuses who has no password" if stranger == "let in" else "says whom it refuses"
    if one["component"] != "Primary":
        return f"is in the primary component (now: {one['component']})"
    if one["state"] != "Synced":
        return f"has what the others have (now: {one['state']})"
    return "" if one["size"] == size else f"sees {size} members (now {one['size']})"


# --- what cannot work


def check(service: Service, environment: Environment) -> Iterator[Check]:
    yield from member.checks(service, environment)
    yield from rules.odd(service)
    yield from rules.volumes(service, "MariaDB", ["data"])
    options = _options(service)
    yield from _sizes(service, options)
    for name, value in options.parameters.items():
        yield from _parameter(name, value)


def _sizes(service: Service, options: Options) -> Iterator[Check]:
    pool, limit = options.buffer_pool, service.resources.limits.get("memory")
    if pool < _SMALLEST_POOL:
        yield "options.bufferPool", f"{pool} is less than {_SMALLEST_POOL}", "write a quantity such as 1Gi"
    if limit and 4 * pool.bytes > 3 * limit.bytes:
        why = f"{pool} is more than three quarters of the limit of {limit}: connections and write sets need the rest"
        yield "options.bufferPool", why, "write a half of limits.memory, or raise that"
    cache, volume = options.write_set_cache, service.volumes.get("data")
    if cache < _SMALLEST_CACHE:
        yield "options.writeSetCache", f"{cache} is less than {_SMALLEST_CACHE}", "write a quantity such as 1Gi"
    if volume and 2 * cache.bytes > volume.size.bytes:
        yield "options.writeSetCache", f"{cache} is more than half of the volume of {volume.size}", "write less, or a larger volume"


def _parameter(name: str, value: object) -> Iterator[Check]:
    place = f"options.parameters.{name}"
    if not _NAME.fullmatch(name):
        yield place, "it is no parameter's name", "write it as SHOW VARIABLES does, in lower case"
    elif why := _refused(name):
        yield place, f"{name} is not for a spec to set", why
    elif isinstance(value, str) and not value.isprintable():
        yield place, "it holds a character that cannot be printed", "a value is one line"


def _refused(name: str) -> str:
    """Why a parameter is ours, if it is: MariaDB also knows one by the beginning of its name, and with a word before it."""
    while prefix := next((one for one in _PREFIXES if name.startswith(one)), ""):
        name = name.removeprefix(prefix)
    if name.startswith("wsrep_") and name not in _FREE:
        return next((why for own, why in _OURS.items() if own == name), _OURS["wsrep"])
    return next((why for own, why in _OURS.items() if own.startswith(name)), "")


SERVICE = ServiceType(
    name="mariadb",
    level="rendered",
    versions=("11.8", "11.4", "10.11"),
    resources=resources,
    members=member.members,
    options=Options,
    check=check,
    secrets=secrets,
    initialise=initialise,
    rotation=rotate,
    refills=member.refilled_by_majority,
    # https://mariadb.com/docs/galera-cluster/galera-management/upgrading-galera-cluster: a page for each step, from one series to the next
    upgrades=Upgrades(path=("10.6", "10.11", "11.4", "11.8")),
)
