"""A document of a known kind on its way to a noun: what was written, where it stands, what it made. What costs time is made when asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model.origin import Fault, Origin
from reconciler.specs.place import Place

Body = Callable[[], Mapping[str, Any]]


@dataclass(slots=True, eq=False)
class Draft:
    """*noun* is what could be made of it, without the fields of its spec that are *faulty*; None where nothing could.

    *depends* are the services that it names in `dependsOn`, *moved* the one in `movedFrom`. *key* stands for its content, its place in
    its file and the documents of those that it depends on, "" where it has none. *outline* is what an earlier run found out about it,
    whole and without a fault.
    """

    kind: str
    name: str
    place: Place
    origin: Origin
    depends: tuple[str, ...] = ()
    moved: str = ""
    key: str = ""
    faulty: frozenset[str] = frozenset()
    outline: Outline | None = None
    body: Body = dict  # its spec, as written
    make: Callable[[], Any] | None = None
    _spec: Mapping[str, Any] | None = field(default=None, init=False)
    _noun: Any = field(default=None, init=False)

    @property
    def spec(self) -> Mapping[str, Any]:
        """As written."""
        if self._spec is None:
            self._spec = self.body()
        return self._spec

    @property
    def whole(self) -> bool:
        """Whether there is a noun."""
        return self.make is not None or self._noun is not None

    @property
    def noun(self) -> Any:
        if self.make is not None:
            self._noun, self.make = self.make(), None
        return self._noun

    @noun.setter
    def noun(self, noun: Any) -> None:
        self._noun, self.make = noun, None

    def refine(self, step: Callable[[Any], Any]) -> None:
        """Have *step* make a noun of the noun, once somebody asks for it."""
        if make := self.make:
            self.make = lambda: step(make())
        else:
            self._noun = step(self._noun)

    def fault(self, message: str, hint: str, *steps: str | int) -> Fault:
        return Fault(self.place.at(steps), message, hint)

    def clash(self, other: Draft, message: str, hint: str, *steps: str | int) -> Fault:
        """A fault of two documents that cannot both be as they are."""
        return Fault(self.place.at(steps), message, hint, (other.origin,))


@dataclass(frozen=True, slots=True)
class Outline:
    """What a service without faults takes up in its environment: its members' names, what it declares, what it needs of others.

    Objects of Kubernetes go by kind, namespace and name, all else by address: nobody else may have the same.
    """

    members: tuple[str, ...]
    objects: tuple[str, ...]
    needs: tuple[str, ...]
    namespace: str
