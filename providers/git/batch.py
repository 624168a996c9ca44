"""Many objects of a repository at once, through one `git cat-file` each for sizes and contents."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator

import git
from git.exc import GitCommandError

from reconciler.errors import ProviderError

SEALED = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
"""What git runs with that reads: nothing is fetched on the way, whatever the repository's settings say."""


def read(repo: git.Repo, blobs: Iterable[str], limit: int) -> dict[str, bytes]:
    """The contents of *blobs* by hash, cut off behind *limit*; without those that are not there or cannot be read."""
    sizes = {sha: size for sha, size in _asked(repo, "--batch-check", dict.fromkeys(blobs)) if isinstance(size, int)}
    small = [sha for sha, size in sizes.items() if size <= limit]
    found = {sha: content for sha, content in _asked(repo, "--batch", small) if isinstance(content, bytes)}
    return found | {sha: _head(repo, sha, limit) for sha, size in sizes.items() if size > limit}


def missing(repo: git.Repo, tree: str) -> frozenset[str]:
    """What is missing below *tree* of a partial clone, without asking where it came from."""
    if not _partial(repo):
        return frozenset()
    try:
        listed = repo.git.rev_list("--objects", "--missing=print", "--no-object-names", tree)
    except GitCommandError as error:
        raise ProviderError(f"{repo.git_dir} cannot be read", hint="run git fsck, or clone it again") from error
    return frozenset(line[1:] for line in listed.splitlines() if line.startswith("?"))


def _partial(repo: git.Repo) -> bool:
    with repo.config_reader("repository") as settings:
        return any(settings.has_option(section, "promisor") for section in settings.sections() if section.startswith("remote "))


def _asked(repo: git.Repo, how: str, blobs: Iterable[str]) -> Iterator[tuple[str, bytes | int | None]]:
    """Of each blob its content or size; None where there is none. One that git stumbles over is passed over."""
    rest = list(blobs)
    while rest:
        answer, whole = _cat(repo, how, rest)
        told = list(_parsed(answer, contents=how == "--batch"))
        yield from told
        rest = [] if whole else rest[len(told) + 1 :]


def _parsed(answer: bytes, *, contents: bool) -> Iterator[tuple[str, bytes | int | None]]:
    at = 0
    while (end := answer.find(b"\n", at)) >= 0:
        sha, kind, *rest = answer[at:end].decode().split(" ")
        at, size = end + 1, int(rest[0]) if rest else 0
        if contents and rest:
            if at + size >= len(answer):
                return
            yield sha, answer[at : at + size] if kind == "blob" else None
            at += size + 1
        else:
            yield sha, size if kind == "blob" else None


def _head(repo: git.Repo, sha: str, limit: int) -> bytes:
    content: bytes = repo.odb.stream(bytes.fromhex(sha)).read(limit + 1)
    return content


def _cat(repo: git.Repo, how: str, blobs: Iterable[str]) -> tuple[bytes, bool]:
    """What git answered, and whether it answered everything."""
    command = ["git", "--git-dir", str(repo.git_dir), "cat-file", how, "--buffer"]
    environment = {**os.environ, **repo.git.environment(), **SEALED}
    asked = "".join(f"{sha}\n" for sha in blobs)
    done = subprocess.run(command, input=asked.encode(), capture_output=True, check=False, env=environment)
    return done.stdout, done.returncode == 0
