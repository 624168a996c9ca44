"""The only wiring: an environment and its machine-local defaults → a World. Adapters are imported where they are first needed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler import errors
from reconciler.model.environment import Environment

if TYPE_CHECKING:
    pass

DEFAULTS = "defaults.json"


@dataclass(frozen=True, slots=True)
class Local:
    """What this machine knows of an environment: fields that its document may leave out, and what its processes are started with."""

    folder: Path
    spec: Mapping[str, Any] = field(default_factory=dict)
    process: Mapping[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()


def local(environment: str) -> Local:
    """The folder of *environment* under RECONCILE_DIR (`.reconcile` of the working directory), and the defaults in it, if any."""
    folder = Path(os.environ.get("RECONCILE_DIR", ".reconcile")).absolute() / environment
    try:
        document = json.loads((folder / DEFAULTS).read_text())
    except FileNotFoundError:
        return Local(folder)
    except ValueError as error:
        raise errors.UsageError(f"{folder / DEFAULTS} cannot be read: {error}", hint="bring the lab up again") from error
    return Local(folder, document["spec"], document["process"], tuple(document["path"]))


def settled(environment: Environment, here: Local) -> Environment:
    """*environment* with what it leaves out filled from *here*. Sections that it declares keep every field that it gives."""
    declared = environment.model_dump(by_alias=True, exclude_unset=True)
    merged = _merged(here.spec, {name: value for name, value in declared.items() if name != "origin"})
    whole = Environment.model_validate({**merged, "origin": environment.origin}, by_alias=True, by_name=True)
    return whole.placed(environment.locate)


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for name, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def environments(repo: str, ref: str | None) -> tuple[str, ...]:
    """The environments that *repo* declares at *ref*."""
    return _specs(repo, ref).environments()


def load(repo: str, ref: str | None, environment: str) -> Desired:
    """The desired state of *environment*; SpecError with every fault."""
    from reconciler import load as loading  # noqa: PLC0415 - the parser is loaded by those who read specs

    here = local(environment)
    source = _specs(repo, ref)
    revision, texts = source.read(environment)
    return loading.load(
        texts, revision=revision, types=kinds.service_types(), base_url=source.location, settle=lambda declared: settled(declared, here)
    )


def _specs(repo: str, ref: str | None) -> GitSpecs:
    from providers import git  # noqa: PLC0415

    return git.GitSpecs(repo, ref, cache=_root() / "git")


@contextmanager
def home(environment: str) -> Iterator[Home]:
    """The Home of *environment*, closed at the end."""
    opened = Home(local(environment))
    try:
        yield opened
    finally:
        opened.close()


class Home:
    """One environment on this machine: its settings once specs are loaded, its ports, each made when it is first used."""

    def __init__(self, here: Local) -> None:
        self.here = here
        self.stop = threading.Event()
        self._desired: Desired | None = None
        self._closing: list[Callable[[], None]] = []

    @property
    def environment(self) -> Environment:
        if self._desired is None:
            raise errors.UsageError("the environment is not loaded yet")
        return self._desired.environment

    def planning(self, repo: str, ref: str | None) -> tuple[World, Desired]:
        """What a plan needs: a world that is only read, and the specs."""
        return self._world(repo, ref)

    def applying(self, repo: str, ref: str | None) -> tuple[World, Desired]:
        """The same, fit to be carried out."""
        return self._world(repo, ref)

    def remember(self, digest: str, text: str) -> None:
        """Keep the plan file *text* under its digest."""
        folder = self.here.folder / "plans"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{digest}.json").write_text(text)

    def recall(self, digest: str) -> str:
        """The plan file kept under *digest*; "" where this machine has none."""
        path = self.here.folder / "plans" / f"{digest}.json"
        return path.read_text() if digest.isalnum() and path.exists() else ""
