"""The working tree as it is: tracked and new files, ignored ones left out, and the hash that their git tree would have."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import git

from providers.git.objects import LINK, NAME, SUBMODULE, SUFFIXES, fetched
from reconciler.errors import ProviderError
from reconciler.model.text import Texts, Unreadable
from reconciler.specs.syntax import MAX_BYTES

_PLAIN, _EXECUTABLE, _LINK = b"100644", b"100755", b"120000"
_CLOSED = re.compile(rb"^warning: could not open directory '(.*)/': (.*)$", re.MULTILINE)
Listing = dict[bytes, "tuple[bytes, bytes] | Listing"]  # by name: (mode, hash) of a file, or a folder


def folders(root: Path) -> list[str]:
    """The names of the folders in *root*; none where there is no such folder."""
    try:
        with os.scandir(root) as found:
            return [one.name for one in found if one.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ProviderError(f"{root} cannot be read: {error.strerror}", hint="check who owns it") from error


def read(repo: git.Repo, folder: str) -> tuple[Texts, str]:
    """The YAML files below *folder* by path, and the hash of its tree as `git add` would make it.

    A file that cannot be read is not a file that is gone: it is Unreadable. One that a sparse checkout left out is as the index has it.
    """
    found = _Found(os.fsencode(repo.working_dir))
    entries, closed = _listed(repo, folder)
    for path, entry in entries:
        found.take(path, entry)
    found.texts |= closed
    return Texts(found.texts | fetched(repo, found.left_out), found.blobs), _tree(_below(found.listing, folder)).hex()


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the index says of a path; nothing but *untracked* of one that it does not have."""

    tag: bytes = b"?"
    mode: bytes = b""
    sha: bytes = b""


@dataclass(slots=True)
class _Found:
    """What was found so far: texts and hashes by path, and all of it as a tree."""

    root: bytes
    texts: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    listing: Listing = field(default_factory=dict)

    def take(self, path: bytes, entry: _Entry) -> None:
        name, place = path.decode(errors="backslashreplace"), os.path.join(self.root, path)  # noqa: PTH118 - names need not be UTF-8
        try:
            self._take(path, name, place)
        except (FileNotFoundError, NotADirectoryError):
            if entry.tag == b"S":
                self._from_index(path, name, entry)
        except OSError as error:
            if name.endswith(SUFFIXES):
                self.texts[name] = _unreadable(error.strerror or str(error))

    def _take(self, path: bytes, name: str, place: bytes) -> None:
        mode = os.lstat(place).st_mode
        if stat.S_ISDIR(mode):
            self.texts[name] = SUBMODULE
        elif stat.S_ISLNK(mode):
            self.texts[name] = LINK
            _add(self.listing, path, _LINK, _hash(b"blob", os.readlink(place)))  # noqa: PTH115
        elif stat.S_ISREG(mode):
            with open(place, "rb", buffering=0) as file:  # noqa: PTH123
                content = file.read()
            sha = _hash(b"blob", content)
            _add(self.listing, path, _EXECUTABLE if mode & stat.S_IXUSR else _PLAIN, sha)
            if name.encode() != path:
                self.texts[name] = NAME
            elif name.endswith(SUFFIXES):
                self.texts[name] = content[: MAX_BYTES + 1]
                self.blobs[name] = sha.hex()
        elif name.endswith(SUFFIXES):
            self.texts[name] = Unreadable(b"is no regular file: put a file there")

    def _from_index(self, path: bytes, name: str, entry: _Entry) -> None:
        _add(self.listing, path, entry.mode, bytes.fromhex(entry.sha.decode()))
        if entry.mode == _LINK:
            self.texts[name] = LINK
        elif name.encode() != path:
            self.texts[name] = NAME
        elif name.endswith(SUFFIXES):
            self.left_out[name] = self.blobs[name] = entry.sha.decode()


def _listed(repo: git.Repo, folder: str) -> tuple[Iterator[tuple[bytes, _Entry]], dict[str, bytes]]:
    """Tracked and untracked paths, and the folders that cannot be looked into.

    `fsmonitor` is off: it is a command that a repository's settings may name.
    """
    status, listed, said = repo.git(c="core.fsmonitor=false").ls_files(
        "-z", "-t", "--stage", "--cached", "--others", "--exclude-standard", "--", folder,
        stdout_as_string=False, strip_newline_in_stdout=False, with_extended_output=True, with_exceptions=False, env={"LC_ALL": "C"},
    )  # fmt: skip
    if status:
        raise ProviderError(f"{repo.working_dir} cannot be read: {said.removeprefix('fatal: ')}", hint="check who owns it, or run git fsck")
    entries: dict[bytes, _Entry] = {}
    for line in listed.split(b"\0"):
        about, tab, path = line.partition(b"\t")
        if line.startswith(b"? "):
            entries[line.removeprefix(b"? ").rstrip(b"/")] = _Entry()
        elif tab:
            entries[path] = _Entry(*about.split(b" ")[:3])
    warned = _CLOSED.findall(said.encode(errors="surrogateescape"))
    closed: dict[str, bytes] = {path.decode(errors="backslashreplace"): _unreadable(why.decode()) for path, why in warned}
    return iter(sorted(entries.items(), key=lambda one: one[0])), closed


def _unreadable(why: str) -> Unreadable:
    return Unreadable(f"cannot be read ({why}): check who owns it".encode())


def _add(listing: Listing, path: bytes, mode: bytes, sha: bytes) -> None:
    *folders_, name = path.split(b"/")
    for one in folders_:
        below = listing.setdefault(one, {})
        assert isinstance(below, dict), path  # noqa: S101 - a file system has no file and folder of one name
        listing = below
    listing[name] = mode, sha


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
