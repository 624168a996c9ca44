"""What an earlier run found out about documents, kept by what it follows from. Losing it costs time, never truth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from reconciler.specs import documents
from reconciler.specs.draft import Draft, Outline

if TYPE_CHECKING:
    from reconciler.model.environment import Environment
    from reconciler.model.text import Texts
    from reconciler.specs.documents import Reading


class Shelf(Protocol):
    """Texts by key, from run to run of one version of this program; whoever keeps them may lose any. Each has a head and a body."""

    def heads(self, keys: Collection[str]) -> Mapping[str, str]:
        """The heads of those of *keys* that are kept."""
        ...

    def body(self, key: str) -> str:
        """The body of what `heads` has told of; KeyError where it has been lost since."""
        ...

    def keep(self, entries: Mapping[str, tuple[str, str]]) -> None: ...


class Nothing:
    """Keeps nothing."""

    def heads(self, keys: Collection[str]) -> Mapping[str, str]:
        del keys
        return {}

    def body(self, key: str) -> str:
        raise KeyError(key)

    def keep(self, entries: Mapping[str, tuple[str, str]]) -> None:
        """Nothing."""


NOTHING = Nothing()


class Drafts:
    """The drafts of the files of one environment, by git's hashes of them."""

    def __init__(self, shelf: Shelf, texts: Texts) -> None:
        self._shelf, self._texts, self._new = shelf, texts, dict[str, tuple[str, str]]()
        self._heads = _parsed(shelf.heads(texts.blobs.values()))
        texts.prefetch(path for path, blob in texts.blobs.items() if blob not in self._heads)

    def recall(self, path: str) -> list[Draft] | None:
        """What is kept of the file *path*."""
        blob = self._texts.blobs.get(path, "")
        head = self._heads.get(blob)
        if head is None:
            return None
        drafts = documents.recall(path, head, lambda: self._body(path, blob), lambda: self._texts[path])
        return _keyed(drafts, blob)

    def _body(self, path: str, blob: str) -> str:
        try:
            return self._shelf.body(blob)
        except KeyError:
            return documents.keep(documents.read(path, self._texts[path])).body

    def keep(self, path: str, reading: Reading) -> None:
        """Keep *reading* of the file *path* if it is sound; written once `close` is called."""
        blob = self._texts.blobs.get(path, "")
        if blob and reading.sound:
            self._new[blob] = documents.keep(reading)
            _keyed(reading.drafts, blob)

    def close(self) -> None:
        if self._new:
            self._shelf.keep(self._new)


class Outlines:
    """The outlines of services in one environment, by their documents and by all that they follow from beside.

    *types* are the service types there are, with the versions of those that come from elsewhere: ours have this program's.
    """

    def __init__(self, shelf: Shelf, environment: Environment, types: Iterable[str]) -> None:
        self._shelf = shelf
        told = json.dumps([environment.model_dump(mode="json"), environment.name, sorted(types)], sort_keys=True, default=str)
        self._context = hashlib.sha256(told.encode()).hexdigest()[:16]

    def recall(self, drafts: Iterable[Draft]) -> None:
        """Give each of *drafts* the outline that is kept of it."""
        keyed = {self._key(draft): draft for draft in drafts if draft.key}
        for key, (members, objects, needs, namespace) in _parsed(self._shelf.heads(keyed)).items():
            keyed[key].outline = Outline(members, objects, needs, namespace)

    def keep(self, outlines: Mapping[Draft, Outline]) -> None:
        entries = {self._key(draft): (_written(outline), "") for draft, outline in outlines.items() if draft.key}
        if entries:
            self._shelf.keep(entries)

    def _key(self, draft: Draft) -> str:
        return f"{draft.key} {self._context}"


def _keyed(drafts: Iterable[Draft], blob: str) -> list[Draft]:
    drafts = list(drafts)
    for index, draft in enumerate(drafts):
        draft.key = f"{blob}:{index}"
    return drafts


def _written(outline: Outline) -> str:
    return json.dumps([outline.members, outline.objects, outline.needs, outline.namespace], separators=(",", ":"))


def _parsed(heads: Mapping[str, str]) -> dict[str, Any]:
    """All *heads* parsed in one go."""
    return dict(zip(heads, json.loads(f"[{','.join(heads.values())}]"), strict=True))
