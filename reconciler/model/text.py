"""The texts of files: what stands where there is none to be read, and those of a commit, which are fetched once somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping


class Unreadable(bytes):
    """In a file's place where there is none to be read; its content says why, in words that follow the path."""

    __slots__ = ()


class Texts(Mapping[str, bytes]):
    """Files by path. *blobs* has git's hashes of those that have one; texts that are not *known* are fetched, best many at once."""

    def __init__(
        self,
        known: Mapping[str, bytes],
        blobs: Mapping[str, str],
        fetch: Callable[[Iterable[str]], Mapping[str, bytes]] = lambda _: {},
    ) -> None:
        self._known = dict(known)
        self.blobs = blobs
        self._fetch = fetch

    def prefetch(self, paths: Iterable[str]) -> None:
        """Have the texts of *paths* at hand."""
        if missing := [path for path in paths if path not in self._known and path in self.blobs]:
            self._known |= self._fetch(missing)

    def __getitem__(self, path: str) -> bytes:
        self.prefetch([path])
        return self._known[path]

    def __iter__(self) -> Iterator[str]:
        yield from self._known
        yield from (path for path in self.blobs if path not in self._known)

    def __len__(self) -> int:
        return len(self._known.keys() | self.blobs.keys())
