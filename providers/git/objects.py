"""Commits, trees and blobs, read from the object database as far as they are in it: nothing is fetched from elsewhere on the way."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress

import git
from git.exc import GitError, ODBError
from git.objects.fun import tree_entries_from_data

from providers.git import batch
from reconciler.errors import ProviderError
from reconciler.model.text import Texts, Unreadable
from reconciler.specs.syntax import MAX_BYTES

SUFFIXES = (".yaml", ".yml")
LINK = Unreadable(b"is a symbolic link: put the file itself there")
SUBMODULE = Unreadable(b"is a submodule: put the files themselves there")
NAME = Unreadable(b"has a name that is not UTF-8: rename it")
MISSING = Unreadable(b"is not in this repository, which is a partial clone or damaged: clone it without --filter, or run git fsck")
FAILURES = (GitError, ODBError, ValueError, LookupError, AttributeError, OSError)  # what GitPython raises for one and the same
_GITLINK = 0o160000


def commit(repo: git.Repo, ref: str) -> git.Commit | None:
    """What *ref* names: a branch, before a tag (peeled), before anything else that git understands; None where that is no commit."""
    for name in (f"refs/heads/{ref}", f"refs/tags/{ref}", ref):
        with suppress(*FAILURES):
            found = repo.commit(name)
            found.tree  # noqa: B018 - reads the commit, which until then is but a name
            return found
    return None


def subtree(tree: git.Tree, path: str) -> git.Tree | None:
    """The tree at *path* below *tree*; None where there is none."""
    sha = tree.binsha
    for step in path.split("/"):
        found = next(((entry, mode) for entry, mode, name in entries(tree.repo, sha) if name == step), None)
        if found is None or not stat.S_ISDIR(found[1]):
            return None
        sha = found[0]
    return git.Tree(tree.repo, sha, path=path)


def folders(tree: git.Tree) -> list[str]:
    """The names of the folders in *tree*."""
    return [name for _, mode, name in entries(tree.repo, tree.binsha) if stat.S_ISDIR(mode) and mode != _GITLINK]


def entries(repo: git.Repo, sha: bytes) -> list[tuple[bytes, int, str]]:
    """Hash, mode and name of everything in a tree; ProviderError where that cannot be read: an empty answer would be a lie."""
    try:
        return tree_entries_from_data(repo.odb.stream(sha).read())
    except FAILURES as error:
        hint = "the clone is partial or damaged: clone it without --filter, or run git fsck"
        raise ProviderError(f"{repo.git_dir} has no tree {sha.hex()}", hint=hint) from error


def texts(tree: git.Tree, path: str) -> Texts:
    """Every YAML file below *tree* by its path, and everything there that cannot be one."""
    repo, unreadable, blobs = tree.repo, dict[str, bytes](), dict[str, str]()
    for below, found in _walk(repo, tree.binsha, path):
        if isinstance(found, Unreadable):
            unreadable[below] = found
        else:
            blobs[below] = found.hex()
    missing = batch.missing(repo, tree.hexsha)
    unreadable |= {below: MISSING for below, sha in blobs.items() if sha in missing}
    return Texts(unreadable, blobs, lambda paths: fetched(repo, {below: blobs[below] for below in paths}))


def fetched(repo: git.Repo, blobs: Mapping[str, str]) -> dict[str, bytes]:
    """The texts of *blobs*, hashes by path, each cut off where it is longer than any spec may be."""
    found = batch.read(repo, blobs.values(), MAX_BYTES)
    return {path: found.get(sha, MISSING) for path, sha in blobs.items()}


def _walk(repo: git.Repo, sha: bytes, path: str) -> Iterator[tuple[str, bytes]]:
    """What lies below a tree, and the hash of each file that a spec may be in."""
    for entry_sha, mode, name in entries(repo, sha):
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
            yield below, entry_sha


def blob(repo: git.Repo, sha: bytes) -> bytes:
    """A blob's content, cut off where it is longer than any spec may be."""
    content: bytes = repo.odb.stream(sha).read(MAX_BYTES + 1)
    return content


def _is_text(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)
