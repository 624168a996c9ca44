"""Part of the stand-in plugins: what a provider answers to, in plain values. The frame (`server`) speaks the protocol for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from lab.plugins.patience import Patience
from lab.plugins.properties import Bag, Path, Values, name_of

Sort = Literal["add", "update", "delete"]


class Refused(Exception):
    """What the provider can't do, in the words that the person who runs the engine reads."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that can't be right; *property* is empty where no single one is to blame."""

    property: str
    reason: str


@dataclass(frozen=True, slots=True)
class Subject:
    """The resource that a call is about, with what the call carries beside its values."""

    urn: str
    id: str = ""
    preview: bool = False
    timeout: float = 0.0
    ignore: tuple[str, ...] = ()
    seed: bytes = b""
    proposed_name: str = ""
    may_name: bool = True

    @property
    def token(self) -> str:
        """The resource's type: `aws:ebs/volume:Volume`."""
        return self.urn.split("::")[2].rsplit("$", 1)[-1]

    @property
    def name(self) -> str:
        """The resource's name in its stack."""
        return self.urn.split("::", 3)[3]


@dataclass(frozen=True, slots=True)
class Difference:
    """What would change, by path; *replaces* are those of the paths that an update can't reach."""

    changes: Mapping[tuple[str | int, ...], Sort] = field(default_factory=dict)
    replaces: frozenset[tuple[str | int, ...]] = frozenset()
    delete_first: bool = False

    def without(self, ignored: Sequence[str]) -> Difference:
        """The same, but for what lies at or under one of the *ignored* paths."""
        kept = {path: sort for path, sort in self.changes.items() if not any(_under(name_of(path), one) for one in ignored)}
        return Difference(kept, self.replaces & kept.keys(), self.delete_first)


@dataclass(frozen=True, slots=True)
class Live:
    """A resource as it is: its id, its outputs, and the inputs that would declare it so."""

    id: str
    outputs: Values
    inputs: Values | None = None


class Partial(Exception):
    """The resource exists but is not what was asked for: the engine keeps it and says so."""

    def __init__(self, live: Live, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.live = live
        self.reasons = tuple(reasons)


class Provider(Protocol):
    """One plugin's resources, of all its types."""

    package: str  # the Python SDK, which says the version

    def check_config(self, news: Values) -> Iterable[Failure]: ...
    def diff_config(self, olds: Values, news: Values) -> Difference: ...
    def configure(self, settings: Values, patience: Patience, engine: str) -> None: ...
    def check(self, on: Subject, olds: Values, news: Values) -> tuple[Values, Sequence[Failure]]: ...
    def diff(self, on: Subject, olds: Values, news: Values) -> Difference: ...
    def create(self, on: Subject, news: Values) -> Live: ...
    def read(self, on: Subject, outputs: Values, inputs: Values) -> Live | None: ...
    def update(self, on: Subject, olds: Values, news: Values) -> Live: ...
    def delete(self, on: Subject, olds: Values) -> None: ...
    def secrets(self, on: Subject, inputs: Bag, outputs: Values) -> frozenset[Path]: ...


def _under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith((prefix + ".", prefix + "["))
