"""A Pod's volumes, made ready before its first container starts and taken away after its last process is gone."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.agent import files
from lab.agent.api import Api
from lab.agent.disks import Blocked, Disks
from lab.agent.environment import ConfigError, Place, Sources
from lab.agent.mounts import Volume
from lab.agent.state import Json
from lab.nodes import DRIVER


@dataclass(frozen=True, slots=True)
class Store:
    """Where a Pod's volumes come from and lie; shared by all Pods but for *folder*."""

    api: Api
    disks: Disks
    folder: Path


class Volumes:
    """The volumes of one Pod."""

    def __init__(self, store: Store, place: Place) -> None:
        self._store = store
        self._place = place
        self._handles: dict[str, tuple[str, Json]] = {}
        self._tokens: dict[tuple[str, int], tuple[str, float]] = {}
        self.ready: dict[str, Volume] = {}

    async def prepare(self) -> None:
        """Make each volume ready that is not yet; again after `Blocked` or `ConfigError`, which say what is missing."""
        content = await self._content(self._made())
        for volume in self._place.pod["spec"].get("volumes", []):
            if volume["name"] not in self.ready:
                self.ready[volume["name"]] = await self._prepare(volume, content)

    async def refresh(self, place: Place) -> None:
        """Let volumes made of API objects say what those, the Pod's own metadata among them, say now."""
        self._place = place
        made = self._made()
        content = await self._content(made)
        for volume in made:
            self._write(volume, content)

    def made_of(self, kind: str, name: str) -> bool:
        """Whether a volume is made of that object (`configmaps` or `secrets`)."""
        return any((kind, name) in files.references(volume) for volume in self._made())

    async def clean(self) -> None:
        """Give everything back."""
        pod = self._place.pod
        for handle, _ in self._handles.values():
            self._store.disks.give_back(pod["spec"]["nodeName"], handle, pod["metadata"]["uid"])
        await asyncio.to_thread(self.drop)

    def lose(self, handle: str) -> None:
        """An EBS volume was taken away: whoever wants it has to have it mounted again."""
        pod = self._place.pod
        self._store.disks.unmount(pod["spec"]["nodeName"], handle, pod["metadata"]["uid"])
        claims = {claim for claim, (held, _) in self._handles.items() if held == handle}
        for volume in pod["spec"].get("volumes", []):
            if volume.get("persistentVolumeClaim", {}).get("claimName") in claims:
                self.ready.pop(volume["name"], None)

    def drop(self) -> None:
        """Like `clean`, on a node that can't tell anybody."""
        pod = self._place.pod
        for handle, _ in self._handles.values():
            self._store.disks.unmount(pod["spec"]["nodeName"], handle, pod["metadata"]["uid"])
        shutil.rmtree(self._store.folder, ignore_errors=True)
        self.ready = {}
        self._handles = {}

    def _made(self) -> list[Json]:
        return [one for one in self._place.pod["spec"].get("volumes", []) if any(kind in one for kind in files.PLAIN_KINDS)]

    async def _content(self, made: list[Json]) -> files.Content:
        namespace = self._place.pod["metadata"]["namespace"]
        sources = await read(self._store.api, namespace, (one for volume in made for one in files.references(volume)))
        tokens = {wanted: await self._fresh_token(wanted) for volume in made for wanted in files.tokens(volume)}
        return files.Content(self._place, sources, tokens)

    async def _prepare(self, volume: Json, content: files.Content) -> Volume:
        match volume:
            case {"emptyDir": _}:
                return Volume(self._empty(volume["name"]))
            case {"hostPath": wanted}:
                return Volume(_host_path(wanted))
            case {"persistentVolumeClaim": wanted}:
                return await self._claimed(wanted)
        if any(kind in volume for kind in files.PLAIN_KINDS):
            return Volume(self._write(volume, content), read_only=True)
        kinds = ", ".join(name for name in volume if name != "name")
        raise ConfigError(f"volume {volume['name']!r}: the lab has no {kinds}; it has emptyDir, hostPath, claims and what API objects make")

    def _empty(self, name: str) -> Path:
        place = self._store.folder / name
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o777)
        self._own(place)
        return place

    def _write(self, volume: Json, content: files.Content) -> Path:
        place: Path = self._store.folder / volume["name"]
        place.mkdir(parents=True, exist_ok=True)
        files.write(place, files.build(volume, content), self._group())
        return place

    async def _claimed(self, wanted: Json) -> Volume:
        name = wanted["claimName"]
        if name not in self._handles:
            found = await self._resolve(name)
            if isinstance(found, Path):
                return Volume(found, wanted.get("readOnly", False))
            self._handles[name] = found
        handle, claim = self._handles[name]
        pod = self._place.pod
        await self._store.disks.want(pod["spec"]["nodeName"], handle, pod["metadata"]["uid"])
        place = self._store.disks.mount(pod["spec"]["nodeName"], handle, claim, pod["metadata"]["uid"])
        self._own(place)
        return Volume(place, wanted.get("readOnly", False))

    async def _resolve(self, name: str) -> tuple[str, Json] | Path:
        """The EBS volume behind a claim, or the path of a local one."""
        namespace = self._place.pod["metadata"]["namespace"]
        claim = await self._store.api.find(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")
        if claim is None:
            raise Blocked(f'persistentvolumeclaim "{name}" not found')
        if claim.get("status", {}).get("phase") != "Bound":
            raise Blocked(f'persistentvolumeclaim "{name}" is not bound yet')
        volume = await self._store.api.get(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")
        match volume["spec"]:
            case {"csi": {"driver": driver, "volumeHandle": handle}} if driver == DRIVER:
                return str(handle), claim
            case {"hostPath": {"path": path}} | {"local": {"path": path}}:
                return Path(path)
        raise ConfigError(f"PersistentVolume {volume['metadata']['name']} is of no kind that the lab has: {DRIVER}, hostPath, local")

    async def _fresh_token(self, wanted: tuple[str, int]) -> str:
        """A token is renewed when four fifths of its time are over."""
        token, issued = self._tokens.get(wanted, ("", 0.0))
        if time.time() > issued + 0.8 * wanted[1]:
            token = await self._token(*wanted)
            self._tokens[wanted] = token, time.time()
        return token

    async def _token(self, audience: str, seconds: int) -> str:
        metadata, spec = self._place.pod["metadata"], self._place.pod["spec"]
        account = spec.get("serviceAccountName", "default")
        bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        body = {"spec": {"audiences": [audience] if audience else [], "expirationSeconds": seconds, "boundObjectRef": bound}}
        answer = await self._store.api.post(f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token", body)
        return str(answer["status"]["token"])

    def _group(self) -> int | None:
        group = (self._place.pod["spec"].get("securityContext") or {}).get("fsGroup")
        return None if group is None else int(group)

    def _own(self, place: Path) -> None:
        """Give the volume to the Pod's fsGroup, the folder and all in it; one that is the group's already is left as it is."""
        group, root = self._group(), place.stat()
        if group is None or (root.st_gid == group and root.st_mode & 0o2000):
            return
        for path in _tree(place):
            os.chown(path, -1, group, follow_symlinks=False)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o2070 if path.is_dir() else 0o060))


async def read(api: Api, namespace: str, references: Iterable[tuple[str, str]]) -> Sources:
    """The ConfigMaps and Secrets of *references* that are there."""
    wanted = sorted(set(references))
    found = await asyncio.gather(*(api.find(f"/api/v1/namespaces/{namespace}/{kind}/{name}") for kind, name in wanted))
    held = {reference: one for reference, one in zip(wanted, found, strict=True) if one is not None}
    return Sources(
        {name: one for (kind, name), one in held.items() if kind == "configmaps"},
        {name: one for (kind, name), one in held.items() if kind == "secrets"},
    )


def _host_path(wanted: Json) -> Path:
    place, kind = Path(wanted["path"]), wanted.get("type") or ""
    if kind == "DirectoryOrCreate":
        place.mkdir(parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        place.touch()
    if not place.exists():
        raise Blocked(f"hostPath {place} is not there")
    return place


def _tree(place: Path) -> Iterator[Path]:
    yield place
    yield from place.rglob("*")
