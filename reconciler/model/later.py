"""Collections that are made once somebody looks into them, for what is costly and not always needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar, overload

K = TypeVar("K")
V = TypeVar("V")
T_co = TypeVar("T_co", covariant=True)


class LaterSequence(Sequence[T_co]):
    """What *make* makes."""

    def __init__(self, make: Callable[[], Sequence[T_co]]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> Sequence[T_co]:
        return self._make()

    @overload
    def __getitem__(self, index: int) -> T_co: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T_co]: ...
    def __getitem__(self, index: int | slice) -> T_co | Sequence[T_co]:
        return self._made[index]

    def __len__(self) -> int:
        return len(self._made)

    def __iter__(self) -> Iterator[T_co]:
        return iter(self._made)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(self._made)


class LaterMapping(Mapping[K, V]):
    """What *make* makes."""

    def __init__(self, make: Callable[[], Mapping[K, V]]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> Mapping[K, V]:
        return self._make()

    def __getitem__(self, key: K) -> V:
        return self._made[key]

    def __contains__(self, key: object) -> bool:
        return key in self._made

    def get(self, key: K, default: Any = None) -> Any:
        return self._made.get(key, default)

    def __len__(self) -> int:
        return len(self._made)

    def __iter__(self) -> Iterator[K]:
        return iter(self._made)

    def __repr__(self) -> str:
        return repr(self._made)
