"""Commits, trees and blobs, read from the object database."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import suppress

import git
from git.exc import GitError, ODBError
from git.objects.fun import tree_entries_from_data

from reconciler.model.text import Unreadable
from reconciler.syntax import MAX_BYTES

SUFFIXES = (".yaml", ".yml")
LINK = Unreadable(b"is a symbolic link: put the file itself there")
SUBMODULE = Unreadable(b"is a submodule: put the files themselves there")
NAME = Unreadable(b"has a name that is not UTF-8: rename it")
_GITLINK = 0o160000


def commit(repo: git.Repo, ref: str) -> git.Commit | None:
    """What *ref* names: a branch, before a tag (peeled), before anything else that git understands; None where that is no commit."""
    for name in (f"refs/heads/{ref}", f"refs/tags/{ref}", ref):
        with suppress(GitError, ODBError, ValueError, LookupError, AttributeError):  # what GitPython raises for one and the same
            found = repo.commit(name)
            found.tree  # noqa: B018 - reads the commit, which until then is but a name
            return found
    return None


def subtree(tree: git.Tree, path: str) -> git.Tree | None:
    """The tree at *path* below *tree*; None where there is none."""
    try:
        found = tree / path
    except KeyError:
        return None
    return found if isinstance(found, git.Tree) else None


def texts(tree: git.Tree, path: str) -> dict[str, bytes]:
    """Every YAML file below *tree* by its path, and everything there that cannot be one."""
    return dict(_walk(tree.repo, tree.binsha, path))


def _walk(repo: git.Repo, sha: bytes, path: str) -> Iterator[tuple[str, bytes]]:
    for entry_sha, mode, name in tree_entries_from_data(repo.odb.stream(sha).read()):
        below = f"{path}/{name}"
        if not _is_text(name):
            yield below.encode(errors="surrogateescape").decode(errors="backslashreplace"), NAME
        elif mode == _GITLINK:
            yield below, SUBMODULE
        elif stat.S_ISLNK(mode):
            yield below, LINK
        elif stat.S_ISDIR(mode):
            yield from _walk(repo, entry_sha, below)
        elif name.endswith(SUFFIXES):
            yield below, blob(repo, entry_sha)


def blob(repo: git.Repo, sha: bytes) -> bytes:
    """A blob's content, cut off where it is longer than any spec may be."""
    content: bytes = repo.odb.stream(sha).read(MAX_BYTES + 1)
    return content


def _is_text(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)
