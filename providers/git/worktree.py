"""The working tree as it is: tracked and new files, ignored ones left out, and the hash that their git tree would have."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import git

from providers.git.objects import LINK, NAME, SUBMODULE, SUFFIXES
from reconciler.syntax import MAX_BYTES

_PLAIN, _EXECUTABLE, _LINK = b"100644", b"100755", b"120000"
Listing = dict[bytes, "tuple[bytes, bytes] | Listing"]  # by name: (mode, hash) of a file, or a folder


def folders(root: Path) -> list[str]:
    return [one.name for one in root.iterdir() if one.is_dir()] if root.is_dir() else []


def read(repo: git.Repo, folder: str) -> tuple[dict[str, bytes], str]:
    """The YAML files below *folder* by path, and the hash of its tree as `git add` would make it."""
    root = os.fsencode(repo.working_dir)
    texts: dict[str, bytes] = {}
    listing: Listing = {}
    for path in _files(repo, folder):
        name = path.decode(errors="backslashreplace")
        place = os.path.join(root, path)  # noqa: PTH118 - names need not be UTF-8
        found = os.lstat(place)
        if stat.S_ISDIR(found.st_mode):
            texts[name] = SUBMODULE
        elif stat.S_ISLNK(found.st_mode):
            texts[name] = LINK
            _add(listing, path, _LINK, os.fsencode(Path(os.fsdecode(place)).readlink()))
        else:
            content = Path(os.fsdecode(place)).read_bytes()
            _add(listing, path, _EXECUTABLE if found.st_mode & stat.S_IXUSR else _PLAIN, content)
            if name.encode() != path:
                texts[name] = NAME
            elif name.endswith(SUFFIXES):
                texts[name] = content[: MAX_BYTES + 1]
    return texts, _tree(_below(listing, folder)).hex()


def _files(repo: git.Repo, folder: str) -> Iterator[bytes]:
    """Tracked and untracked paths that exist. `fsmonitor` is off: it is a command that a repository's settings may name."""
    listed: bytes = repo.git(c="core.fsmonitor=false").ls_files(
        "-z", "--cached", "--others", "--exclude-standard", "--", folder, stdout_as_string=False, strip_newline_in_stdout=False
    )
    root = os.fsencode(repo.working_dir)
    for path in sorted(set(listed.split(b"\0")) - {b""}):
        if os.path.lexists(os.path.join(root, path)):  # noqa: PTH118
            yield path.rstrip(b"/")


def _add(listing: Listing, path: bytes, mode: bytes, content: bytes) -> None:
    *folders_, name = path.split(b"/")
    for one in folders_:
        below = listing.setdefault(one, {})
        assert isinstance(below, dict), path  # noqa: S101 - a file system has no file and folder of one name
        listing = below
    listing[name] = mode, _hash(b"blob", content)


def _below(listing: Listing, folder: str) -> Mapping[bytes, tuple[bytes, bytes] | Listing]:
    for one in folder.encode().split(b"/"):
        below = listing.get(one, {})
        listing = below if isinstance(below, dict) else {}
    return listing


def _tree(listing: Mapping[bytes, tuple[bytes, bytes] | Listing]) -> bytes:
    """The hash of git's tree object; a folder sorts as if its name ended in a slash."""
    entries: list[tuple[bytes, bytes]] = []
    for name, one in listing.items():
        if isinstance(one, dict):
            entries.append((name + b"/", b"40000 " + name + b"\0" + _tree(one)))
        else:
            entries.append((name, one[0] + b" " + name + b"\0" + one[1]))
    return _hash(b"tree", b"".join(entry for _, entry in sorted(entries)))


def _hash(kind: bytes, content: bytes) -> bytes:
    return hashlib.sha1(kind + b" %d\0" % len(content) + content, usedforsecurity=False).digest()
