"""What MongoDB's servers and routers share: image, ports, configuration file, keyfile, probe, and who is what in a sharded cluster."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from reconciler.kinds import Check
from reconciler.model.document import SecretRef
from reconciler.model.environment import Environment
from reconciler.model.initialise import Next, Script
from reconciler.model.service import Parent, Service
from reconciler.model.upgrades import Upgrades, is_later
from reconciler.resources import cloud, rotation, workload
from stacks import _mongosh as mongosh

Role: TypeAlias = Literal["configServer", "shard"]
PARENT = "mongodb"
PORTS = {"": 27017, "shard": 27018, "configServer": 27019}  # one of its own for each role: nobody connects to a shard by mistake
PASSWORD_LENGTH = 32
SETTINGS = {"enableLocalhostAuthBypass": False}  # the first user is made by who has the keyfile
# https://www.mongodb.com/docs/manual/release-notes/8.0-upgrade-replica-set/: from the series before alone, and never back by oneself
UPGRADES = Upgrades(path=("6.0", "7.0", "8.0"))
_KEYFILE = f"{workload.OWN_PATH}/keyfile"


def image(service: Service) -> str:
    return f"mongo:{service.version}"


def role(service: Service) -> str:
    """What *service*, of type mongodb, is in a sharded cluster; "" where it is in none."""
    return str(service.options.get("role") or "")


def host(service: Service, environment: Environment, name: str) -> str:
    """The member *name* of *service*, as others reach it."""
    return f"{cloud.fqdn(environment, name)}:{PORTS[role(service)]}"


def address(parent: Parent, environment: Environment) -> str:
    """A replica set with its members, as routers write it."""
    return f"{parent.service.name}/{','.join(host(parent.service, environment, name) for name in parent.members)}"


def parents(service: Service, wanted: Role) -> list[tuple[int, Parent]]:
    """Those of *service*'s parents that have a role, with their places among all."""
    return [(n, one) for n, one in enumerate(service.parents) if one.type == PARENT and role(one.service) == wanted]


def is_whole(service: Service) -> bool:
    """Whether nothing is wrong with the documents of those whom *service* names; only then is it known who they are."""
    return len(service.parents) == len(service.depends_on)


def config_servers(service: Service) -> Parent | None:
    """The config servers of the cluster that *service* is of; None while something is wrong with their document, or with which it names."""
    return next((one for _, one in parents(service, "configServer")), None)


def in_cluster(service: Service, roles: Collection[str]) -> Iterator[Check]:
    """Whether *service* names one service of config servers, in its own namespace, where the keyfile of all is, and else only *roles*."""
    what = f"a {'shard' if service.type == PARENT else 'router'}"
    for n, one in enumerate(service.parents):
        if one.type == PARENT and role(one.service) not in roles:
            names = " or ".join(f"role: {name}" for name in roles)
            yield f"dependsOn.{n}", f"{what} depends on services with {names}, and {one.service.name} is none", "name another"
    found = parents(service, "configServer")
    if not found and is_whole(service):
        hint = "name a service of type mongodb with options: {role: configServer}"
        yield "dependsOn", f"{what} needs the config servers of its cluster, whose keyfile it has", hint
    for n, _ in found[1:]:
        yield f"dependsOn.{n}", f"{what} has the config servers of one cluster", f"leave {found[0][1].service.name}, or this one"
    for n, one in found[:1]:
        if one.service.namespace != service.namespace:
            place = one.service.namespace
            why = f"the keyfile of {one.service.name} is a Secret of the namespace {place}, and no other can mount it"
            yield f"dependsOn.{n}", why, f"write namespace: {place}"


def order(service: Service) -> Iterator[Check]:
    """Config servers come to a version first, then shards, then routers, as MongoDB's own pages have it; one commit may have them all."""
    for one in service.parents:
        if one.type == PARENT and is_later(one.service.version, service.version):
            why = f"{one.service.name}, of which it depends, has version {one.service.version}: nobody is of a later one than those"
            yield "version", why, f'write version: "{service.version}" there as well'


def finalised(hosts: Sequence[str], version: str, features: str) -> Next:
    """The features of *version* are let in once all members run it; https://www.mongodb.com/docs/manual/release-notes/8.0-upgrade-replica-set/."""
    if not features:
        return "it says which version's features it uses"
    if not is_later(features, version):
        return None
    return Script(f"set the feature compatibility version {version}", mongosh.set_features(hosts, workload.SECRETS_PATH, version), 600)


def net(port: int, *, own_address: bool) -> dict[str, Any]:
    """Where a server listens; one with an address of its own is told it on the command line."""
    return {"port": port, **({} if own_address else {"bindIpAll": True})}


def security() -> dict[str, Any]:
    return {"keyFile": _KEYFILE}


def yaml(settings: Mapping[str, Any], indent: str = "") -> str:
    """*settings* as YAML; a scalar as JSON, which YAML reads as it is."""
    lines = []
    for name, value in settings.items():
        lines.append(
            f"{indent}{name}:\n{yaml(value, indent + '  ')}" if isinstance(value, Mapping) else f"{indent}{name}: {json.dumps(value)}\n"
        )
    return "".join(lines)


def probe(port: int) -> str:
    """Whether a member is primary or secondary, which it says to everybody who greets it, as a router does; a shell would take a second.

    https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/#op_msg; in BSON, true is a byte 1 after the name and its 0.
    """
    body = b"\x10hello\0" + struct.pack("<i", 1) + b"\x02$db\0" + struct.pack("<i", 6) + b"admin\0"
    document = struct.pack("<i", len(body) + 5) + body + b"\0"
    greeting = struct.pack("<iiiiIB", 21 + len(document), 1, 0, 2013, 0, 0) + document
    octets = "".join(f"\\x{byte:02x}" for byte in greeting)
    return f"""\
exec 3<>"/dev/tcp/$FQDN/{port}" || exit 1
printf '{octets}' >&3
length=$(timeout 3 head -c 4 <&3 | od -An -tu4)
[[ $length ]] || {{ echo "no answer" >&2; exit 1; }}
timeout 3 head -c $((length - 4)) <&3 | tr '\\000\\001' '.+' | grep -aq -e 'isWritablePrimary\\.+' -e 'secondary\\.+' ||
  {{ echo "neither primary nor secondary" >&2; exit 1; }}
"""


# --- secrets


def auth_name(service: Service) -> str:
    return f"{service.name}-auth"


def password(service: Service) -> SecretRef:
    """That of the user admin, where it is ours."""
    return SecretRef(name=rotation.name(auth_name(service), service.rotation), key="password")


def keyfile_name(service: Service) -> str:
    """The Secret of a set of its own, or of the config servers of a cluster."""
    return f"{service.name}-keyfile"


def keyfile(owner: Service, generation: int = 0) -> SecretRef:
    return SecretRef(name=rotation.name(keyfile_name(owner), generation), key="keyfile")


def own_keyfile(service: Service, *, two: bool = False) -> dict[str, Any]:
    """A server takes a keyfile only if it is its own, and nobody else may read it. One of *two* keys is a list in YAML."""
    own = f"{workload.SECRETS_PATH}/keyfile"
    written = f"""printf '%s %s\\n' - "$(tr -d '[:space:]' < {own})" - "$(tr -d '[:space:]' < {own}-next)\"""" if two else f"cat {own}"
    script = f"""\
umask 077
{written} > {_KEYFILE}
if [ "$(id -u)" = 0 ] && id mongodb > /dev/null 2>&1; then chown mongodb {_KEYFILE}; fi  # as whom the image's entrypoint starts the server
"""
    return workload.own_files("keyfile", image(service), script)
