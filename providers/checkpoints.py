"""The engine's own record on a file backend: which resources a stack holds, what was in flight when a run died, and its locks.

Read without the engine's SDK, which takes half a second to import. Where one cannot be read, more of what is live is imported.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from providers import heads, recorded
from providers.intents import FOLDER, Intents
from reconciler import errors
from reconciler.model import address
from reconciler.model.address import SHARED, ResourceId
from reconciler.ports import Recall, Recorded

PROJECT = "reconciler"
YOUNG = 30.0  # seconds after its creation for which AWS may not tell of a thing
_META = "version: 1\n"  # how the engine lays out a backend; without it, it takes an empty file for a layout of long ago


class Checkpoints:
    """Reads `<backend>/.pulumi`; but for what dead runs left broken or locked, everything that changes it goes through the engine.

    *said* is told what could not be read, and what is taken instead.
    """

    def __init__(self, backend: str, said: Callable[[str], None] = lambda _: None) -> None:
        parts = urlsplit(backend)
        if parts.scheme != "file":
            raise errors.UsageError(f"engine.backend {backend} is no file:// address", hint="other backends come in a later release")
        self.root = Path(parts.netloc + parts.path).expanduser().absolute() / ".pulumi"
        self._said = said
        self._read: dict[Path, tuple[tuple[int, int], Mapping[str, Any]]] = {}
        self._told: set[str] = set()

    def stacks(self, environment: str) -> Mapping[str, frozenset[ResourceId]]:
        """What the engine's state holds, by stack; what is live but not in it was left by a crash."""
        return {stack: held(self._heads(name)) for name, stack in self._names(environment)}

    def pending(self, environment: str) -> frozenset[ResourceId]:
        """What was being made when an earlier run died, or was made so lately that AWS may not tell of it: it may still turn up."""
        now = time.time()
        names = [name for name, _ in self._names(environment)]
        made = (id for name in names for id in (*making(self._heads(name)), *young(self._heads(name), now)))
        return frozenset(made) | self.intents.pending(environment)

    @property
    def intents(self) -> Intents:
        """What is made beside the engine, and written down before."""
        return Intents(self.root.parent / FOLDER)

    def recorded(self, environment: str, stack: str, recall: Recall) -> Mapping[ResourceId, Recorded]:
        """What was last declared to the engine of *stack*, thing by thing."""
        return recorded.recorded(self.deployment(name(environment, stack)), recall)

    def _names(self, environment: str) -> Iterator[tuple[str, str]]:
        """Every stack of *environment*: its name in the engine and the stack it stands for."""
        folder = self.root / "stacks" / PROJECT
        for path in sorted(folder.glob(f"{environment}.*.json")):
            yield path.stem, _stack(path.stem.removeprefix(f"{environment}."))

    def deployment(self, name: str) -> Mapping[str, Any]:
        """The last deployment recorded for stack *name*; empty where there is none. For a broken record, the newest that can be read."""
        path = self._path(name)
        try:
            return self._latest(path)
        except FileNotFoundError:
            return {}
        except ValueError as error:
            instead = self._older(name)
            if name not in self._told:
                self._told.add(name)
                told = f"{instead.name} is taken instead" if instead else "what is live is imported anew"
                self._said(f"the engine's record {path} cannot be read ({error}); {told}")
            return self._latest(instead) if instead else {}

    def _heads(self, name: str) -> Mapping[str, Any]:
        """As `deployment`, without what was declared and answered: of a thousand stacks that would be most of a pass's memory and time."""
        try:
            return heads.read(self._path(name).read_bytes())
        except (OSError, ValueError):
            return self.deployment(name)

    def exists(self, name: str) -> bool:
        return self._path(name).exists()

    def begin(self, name: str, deployment: Mapping[str, Any] | None = None) -> None:
        """Make a record for stack *name*, unless there is one: empty, as the engine does, or with a *deployment* of elsewhere."""
        path, meta = self._path(name), self.root / "meta.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not meta.exists():
            _write(meta, _META)
        if not path.exists():
            checkpoint = {"stack": f"organization/{PROJECT}/{name}", "latest": deployment or {}}
            _write(path, json.dumps({"version": 3, "checkpoint": checkpoint}))

    def left(self, environment: str) -> tuple[str, ...]:
        """The stacks, as the engine calls them, where a dead run left a lock, or operations whose end nobody knows."""
        locked = {path.parent.name for path in self._locks.glob(f"{environment}.*/*.json")}
        return tuple(sorted(locked | {name for name, _ in self._names(environment) if unsure(self._heads(name))}))

    def unlock(self, name: str) -> None:
        """Remove the engine's locks on stack *name*, as `pulumi cancel` does, but also where the stack was never made."""
        for path in self._locks.glob(f"{name}/*.json"):
            path.unlink(missing_ok=True)

    def mend(self, environment: str) -> None:
        """Put what can be read in the place of every broken record of *environment*; the broken one is kept beside it."""
        self._mend_layout()
        for name, _ in tuple(self._names(environment)):
            path = self._path(name)
            try:
                self._latest(path)
            except ValueError:
                self.deployment(name)  # says what is taken instead
                instead = self._older(name)
                aside = path.with_name(f"{path.name}.broken-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
                text = instead.read_text() if instead else ""
                _keep(path, aside)
                if instead:
                    _write(path, text)
                else:
                    path.unlink(missing_ok=True)
                self._said(f"what could not be read is kept as {aside}")

    def _mend_layout(self) -> None:
        meta = self.root / "meta.yaml"
        if meta.exists() and not meta.read_text(errors="replace").strip():
            _write(meta, _META)

    def _older(self, name: str) -> Path | None:
        """The newest record of stack *name* that can be read, beside its last; None where there is none."""
        path = self._path(name)
        history = sorted((self.root / "history" / PROJECT / name).glob("*.checkpoint.json"), key=lambda one: one.name, reverse=True)
        for older in (path.with_name(f"{path.name}.bak"), *history):
            try:
                self._latest(older)
            except (OSError, ValueError):
                continue
            return older
        return None

    def _latest(self, path: Path) -> Mapping[str, Any]:
        """The deployment in *path*, parsed once for as long as the file is the same; ValueError where it is none."""
        known = path.stat()
        stamp, before = (known.st_mtime_ns, known.st_size), self._read.get(path)
        if before is None or before[0] != stamp:
            before = stamp, _deployment(json.loads(path.read_bytes()))
            self._read[path] = before
        return before[1]

    def _path(self, name: str) -> Path:
        return self.root / "stacks" / PROJECT / f"{name}.json"

    @property
    def _locks(self) -> Path:
        return self.root / "locks" / "organization" / PROJECT


def _deployment(document: Any) -> Mapping[str, Any]:
    checkpoint = document.get("checkpoint") if isinstance(document, Mapping) else None
    if not isinstance(checkpoint, Mapping):
        raise ValueError("it is no checkpoint")  # noqa: TRY004 - a text that parses is as broken as one that does not
    return checkpoint.get("latest") or {}


def _keep(path: Path, aside: Path) -> None:
    """Let *path* be found as *aside* too; where a file has one name only, as nothing else: a run that dies there imports what is live."""
    try:
        os.link(path, aside)
    except OSError:
        path.rename(aside)


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.new")
    draft.write_text(text)
    draft.replace(path)


def name(environment: str, stack: str) -> str:
    """What the engine calls a stack: `lab.kv`; what services share is `lab.shared_`, since no service's name ends so."""
    return f"{environment}.{'shared_' if stack == SHARED else stack}"


def _stack(tail: str) -> str:
    return SHARED if tail == "shared_" else tail


def ours(urn: str) -> bool:
    """Whether *urn* is a declared thing: neither the stack itself nor a provider."""
    return "::pulumi:" not in urn


def logical(urn: str) -> str:
    """The logical name of *urn*: the address that it was declared under."""
    return urn.split("::", 3)[-1]


def held(deployment: Mapping[str, Any]) -> frozenset[ResourceId]:
    """The addresses that *deployment* holds."""
    return frozenset(_ids(resource["urn"] for resource in deployment.get("resources") or ()))


def making(deployment: Mapping[str, Any]) -> frozenset[ResourceId]:
    """The addresses that were being made when the run that wrote *deployment* died. What was being changed or deleted is read anew."""
    operations = deployment.get("pending_operations") or ()
    return frozenset(_ids(one["resource"]["urn"] for one in operations if one.get("type") not in {"updating", "deleting", "reading"}))


def young(deployment: Mapping[str, Any], now: float) -> frozenset[ResourceId]:
    """The addresses that *deployment* says were made in AWS less than `YOUNG` seconds before *now*."""
    resources = deployment.get("resources") or ()
    recent = (one["urn"] for one in resources if one.get("created") and abs(now - _seconds(one["created"])) < YOUNG)
    return frozenset(id for id in _ids(recent) if id.kind != "kubernetes")


def unsure(deployment: Mapping[str, Any]) -> bool:
    """Whether a run died in the middle of something that *deployment* still tells of."""
    halves = any(one.get("pendingReplacement") for one in deployment.get("resources") or ())
    return halves or bool(deployment.get("pending_operations"))


def leftover(deployment: Mapping[str, Any]) -> Mapping[str, str]:
    """What was replaced and is still to be deleted, by address: its live id."""
    resources = deployment.get("resources") or ()
    return {logical(one["urn"]): one.get("id", "") for one in resources if one.get("delete") and ours(one["urn"])}


def _seconds(stamp: str) -> float:
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return 0.0


def _ids(urns: Iterable[str]) -> Iterator[ResourceId]:
    for urn in urns:
        if ours(urn):
            yield address.parse(logical(urn))
