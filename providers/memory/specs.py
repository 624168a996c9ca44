"""Specs in memory: the files of one commit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from reconciler.errors import UsageError
from reconciler.model.document import LABEL
from reconciler.model.origin import Revision
from reconciler.specs.load import FOLDER, RESERVED


class MemorySpecs:
    """*files* by their path in the repository, at *commit*."""

    def __init__(self, files: Mapping[str, bytes], commit: str = "0" * 40, base_url: str = "/repository") -> None:
        self.files = dict(files)
        self.commit = commit
        self.base_url = base_url
        self.lost = ""

    def read(self, environment: str) -> tuple[Revision, Mapping[str, bytes]]:
        if not re.fullmatch(LABEL, environment) or environment not in self.environments():
            raise UsageError(f"there is no {FOLDER}/{environment}", hint=f"there are {', '.join(self.environments())}")
        below = f"{FOLDER}/{environment}/"
        texts = {path: text for path, text in self.files.items() if path.startswith(below) and path.endswith((".yaml", ".yml"))}
        tree = _tree({path.removeprefix(below): text for path, text in self.files.items() if path.startswith(below)})
        return Revision(self.commit, tree.hex(), environment), texts

    def environments(self) -> tuple[str, ...]:
        found = {path.split("/")[1] for path in self.files if path.startswith(f"{FOLDER}/") and path.count("/") > 1}
        return tuple(sorted(found - {RESERVED}))


def _tree(files: Mapping[str, bytes]) -> bytes:
    """The hash of git's tree object over *files*."""
    folders = {path.partition("/")[0] for path in files if "/" in path}
    entries = [(path, b"100644 " + path.encode() + b"\0" + _hash(b"blob", text)) for path, text in files.items() if "/" not in path]
    for folder in folders:
        below = {path.removeprefix(f"{folder}/"): text for path, text in files.items() if path.startswith(f"{folder}/")}
        entries.append((f"{folder}/", b"40000 " + folder.encode() + b"\0" + _tree(below)))
    return _hash(b"tree", b"".join(entry for _, entry in sorted(entries)))


def _hash(kind: bytes, content: bytes) -> bytes:
    return hashlib.sha1(kind + b" %d\0" % len(content) + content, usedforsecurity=False).digest()
