"""mongod.conf and the command line, as far as this stand-in keeps to them. What it does not know is an error."""

from __future__ import annotations

import argparse
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

_PORTS = {"": 27017, "shardsvr": 27018, "configsvr": 27019}
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
_KEYS = 2
_WHITESPACE = b"\x09\x0a\x0b\x0c\x0d\x20"
_KNOWN = {
    "net.port",
    "net.bindIp",
    "net.bindIpAll",
    "replication.replSetName",
    "security.authorization",
    "security.keyFile",
    "setParameter.enableLocalhostAuthBypass",
    "sharding.clusterRole",
    "storage.dbPath",
    "storage.wiredTiger.engineConfig.cacheSizeGB",  # of no effect: everything is in memory
}


class SettingsError(Exception):
    """The server cannot start with these."""


@dataclass(frozen=True, slots=True)
class Settings:
    port: int
    bind: tuple[str, ...]
    set_name: str
    folder: Path
    keys: tuple[str, ...]  # of the keyfile; none without one
    role: str  # in a sharded cluster, "" in none


def read(arguments: Sequence[str]) -> Settings:
    """What the command line says, which goes before what its file says.

    Raises:
        SettingsError: something in it is not known, or cannot be.
    """
    said, bind = told("mongod", arguments, _KNOWN)
    if said.get("security.authorization") == "enabled" and "security.keyFile" not in said:
        raise SettingsError("security.keyFile is required when authorization is enabled with replica sets")
    if "replication.replSetName" not in said:
        raise SettingsError("this stand-in is a member of a replica set: name it, replication.replSetName")
    role = said.get("sharding.clusterRole", "")
    if role not in _PORTS:
        raise SettingsError(f"Bad value for sharding.clusterRole: {role}")
    folder = Path(said.get("storage.dbPath", "/data/db"))
    if not folder.is_dir():
        raise SettingsError(f"NonExistentPath: Data directory {folder} not found")
    known = keys(Path(said["security.keyFile"])) if "security.keyFile" in said else ()
    return Settings(int(said.get("net.port", _PORTS[role])), bind, said["replication.replSetName"], folder, known, role)


def told(program: str, arguments: Sequence[str], known: Collection[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What file and command line say of what is *known*, by path, and where *program* is to listen.

    Raises:
        SettingsError: something in it is not known.
    """
    parser = argparse.ArgumentParser(prog=program, description="A stand-in for one of MongoDB's servers.")
    parser.add_argument("--config", "-f", type=Path)
    parser.add_argument("--bind_ip", default="")
    given = parser.parse_args(arguments)
    said = dict(_flat("", YAML(typ="safe").load(given.config) or {})) if given.config else {}
    if unknown := sorted(set(said) - set(known)):
        raise SettingsError(f"Unrecognized option: {unknown[0]} (this stand-in has {', '.join(sorted(known))})")
    bind = given.bind_ip or ("0.0.0.0" if said.get("net.bindIpAll") else said.get("net.bindIp", "localhost"))
    return said, tuple(bind.split(","))


def keys(path: Path) -> tuple[str, ...]:
    """The keys of a keyfile without their white space, under the real server's conditions: one as it is, or up to two as a list in YAML."""
    try:
        mode, content = path.stat().st_mode, path.read_text(encoding="latin-1")
    except OSError as error:
        raise SettingsError(f"error opening file: {path}: {error.strerror}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise SettingsError(f"permissions on {path} are too open")
    listed = YAML(typ="safe").load(content) if content.startswith("- ") else [content]
    found = tuple(str(one).encode("latin-1").translate(None, _WHITESPACE) for one in listed)
    if len(found) > _KEYS:
        raise SettingsError(f"only {_KEYS} keys are supported in the security key file, {len(found)} are specified in {path}")
    if any(not 6 <= len(one) <= 1024 or not set(one) <= _BASE64 for one in found):
        raise SettingsError(f"security key in {path} must be 6 to 1024 characters of base64")
    return tuple(one.decode() for one in found)


def _flat(prefix: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value
