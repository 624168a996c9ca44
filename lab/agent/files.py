"""Volumes made of API objects (ConfigMap, Secret, downward API, projected): which files they hold, written as a kubelet does.

A reader of such a volume sees all of one version or all of another: `..data` is a link that is replaced at once.
"""

from __future__ import annotations

import base64
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from lab.agent import environment
from lab.agent.environment import ConfigError, Place, Sources
from lab.agent.state import Json, spec_of

MODE = 0o644
PLAIN_KINDS = ("configMap", "secret", "downwardAPI", "projected")


@dataclass(frozen=True, slots=True)
class File:
    """What is written to one path of the volume."""

    content: bytes
    mode: int = MODE


@dataclass(frozen=True, slots=True)
class Content:
    """What a Pod's volumes are made from; *tokens* by (audience, seconds)."""

    place: Place
    sources: Sources
    tokens: Mapping[tuple[str, int], str] = field(default_factory=dict)


def references(volume: Json) -> Iterator[tuple[str, str]]:
    """The objects that a volume is made from: `configmaps` or `secrets`, and a name."""
    for source in _parts(volume):
        if "configMap" in source:
            yield "configmaps", source["configMap"]["name"]
        if "secret" in source:
            yield "secrets", _secret_name(source["secret"])


def tokens(volume: Json) -> Iterator[tuple[str, int]]:
    """The service account tokens that a volume holds: audience and seconds."""
    for source in _parts(volume):
        if "serviceAccountToken" in source:
            yield _token(source["serviceAccountToken"])


def build(volume: Json, content: Content) -> dict[str, File]:
    """The files of *volume* by their path in it.

    Raises:
        ConfigError: an object or a key that it is made from is not there.
    """
    kind = next(kind for kind in PLAIN_KINDS if kind in volume)
    mode = volume[kind].get("defaultMode", MODE)
    found: dict[str, File] = {}
    for source in _parts(volume):
        found |= _files(source, content, mode)
    return found


def write(folder: Path, files: Mapping[str, File], group: int | None) -> None:
    """Let *folder* hold *files* and nothing else, at once; *group* is who else may read them."""
    if _current(folder) == files:
        return
    version = folder / f"..{uuid.uuid4().hex}"
    version.mkdir(parents=True)
    version.chmod(0o755)
    for name, file in files.items():
        _write(version / name, file, group)
    former = folder / "..data"
    old = former.readlink() if former.is_symlink() else None
    draft = folder / "..data_new"
    draft.symlink_to(version.name)
    draft.replace(former)
    _link(folder, {PurePosixPath(name).parts[0] for name in files})
    if old:
        shutil.rmtree(folder / old, ignore_errors=True)


def _parts(volume: Json) -> list[Json]:
    if "projected" in volume:
        return list(volume["projected"].get("sources") or [])
    return [{kind: volume[kind]} for kind in PLAIN_KINDS if kind in volume]


def _files(source: Json, content: Content, mode: int) -> dict[str, File]:
    match source:
        case {"configMap": wanted}:
            found = content.sources.config_maps.get(wanted["name"])
            return _items(wanted, None if found is None else _config_map(found), mode, f'configmap "{wanted["name"]}"')
        case {"secret": wanted}:
            name = _secret_name(wanted)
            secret = content.sources.secrets.get(name)
            return _items(wanted, None if secret is None else environment.decode(secret), mode, f'secret "{name}"')
        case {"downwardAPI": wanted}:
            return {item["path"]: _downward(item, content.place, mode) for item in wanted.get("items", [])}
        case {"serviceAccountToken": wanted}:
            return {wanted["path"]: File(content.tokens[_token(wanted)].encode(), mode)}
    raise ConfigError(f"the lab knows no volume source {', '.join(source)}; it has configMap, secret, downwardAPI and serviceAccountToken")


def _items(wanted: Json, held: Mapping[str, bytes] | None, mode: int, what: str) -> dict[str, File]:
    optional = wanted.get("optional", False)
    if held is None and not optional:
        raise ConfigError(f"{what} not found")
    held = held or {}
    if "items" not in wanted:
        return {key: File(value, mode) for key, value in held.items()}
    missing = [item["key"] for item in wanted["items"] if item["key"] not in held]
    if missing and not optional:
        raise ConfigError(f"{what} has no key {', '.join(missing)}")
    return {item["path"]: File(held[item["key"]], item.get("mode", mode)) for item in wanted["items"] if item["key"] in held}


def _config_map(found: Json) -> dict[str, bytes]:
    texts = {name: text.encode() for name, text in (found.get("data") or {}).items()}
    return texts | {name: base64.b64decode(value) for name, value in (found.get("binaryData") or {}).items()}


def _downward(item: dict[str, Any], place: Place, mode: int) -> File:
    if "fieldRef" in item:
        text = environment.field_value(item["fieldRef"]["fieldPath"], place)
    else:
        reference = item["resourceFieldRef"]
        text = environment.resource_value(reference, spec_of(place.pod, reference["containerName"]), place)
    return File(text.encode(), item.get("mode", mode))


def _secret_name(wanted: Json) -> str:
    """A Secret volume says `secretName`, a projection `name`."""
    return str(wanted.get("secretName") or wanted["name"])


def _token(wanted: Json) -> tuple[str, int]:
    return wanted.get("audience", ""), wanted.get("expirationSeconds", 3600)


def _current(folder: Path) -> dict[str, File] | None:
    root = (folder / "..data").resolve()
    if not root.exists():
        return None
    return {str(path.relative_to(root)): File(path.read_bytes(), path.stat().st_mode & 0o777) for path in root.rglob("*") if path.is_file()}


def _write(path: Path, file: File, group: int | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.content)
    path.chmod(file.mode)
    if group is not None:
        os.chown(path, -1, group)


def _link(folder: Path, names: set[str]) -> None:
    for name in names:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for path in folder.iterdir():
        if not path.name.startswith("..") and path.name not in names:
            path.unlink()
