"""Specs out of git: the objects of a commit without a checkout, or the working tree as it is. Nothing of the repository is executed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

import git
from git.exc import GitError, InvalidGitRepositoryError, NoSuchPathError

from providers.git import batch, cache, history, objects, worktree
from reconciler.errors import ProviderError, UsageError
from reconciler.model import cloneurl
from reconciler.model.document import LABEL
from reconciler.model.origin import Revision
from reconciler.specs.load import FOLDER, RESERVED

SHALLOW = "the repository is a shallow clone (mend: git fetch --unshallow; actions/checkout: fetch-depth: 0)"
_URL = re.compile(r"[a-z][a-z+]*://|[^/]+@[^/:]+:|[^/.][^/]*:(?!/)")


class GitSpecs:
    """The specs of *repo*, a path or a URL, at *ref*; without one the working tree as it is, or HEAD where there is none.

    What is behind a URL is fetched once per object into a bare clone below *cache*.
    """

    def __init__(self, repo: str, ref: str | None = None, *, cache: Path) -> None:
        if ref is not None and (not ref or ref.startswith("-")):
            raise UsageError(f"{ref!r} is no ref", hint="name a commit, a tag or a branch")
        self.repo = repo
        self.ref = ref
        self._cache = cache
        self._remote = bool(_URL.match(repo)) and not Path(repo).exists()

    def read(self, environment: str) -> tuple[Revision, Mapping[str, bytes]]:
        """The files of *environment* by their path in the repository, those that cannot be read as Unreadable."""
        folder = _folder(environment)
        if self._commit is None:
            return self._as_it_is(environment, folder)
        tree = self._tree(self._commit, folder)
        return Revision(self._commit.hexsha, tree.hexsha, environment), objects.texts(tree, folder)

    def revision(self, environment: str) -> Revision:
        """What *environment* is at, without its files; a working tree with changes is no commit."""
        folder = _folder(environment)
        if self._commit is None:
            return self._as_it_is(environment, folder)[0]
        return Revision(self._commit.hexsha, self._tree(self._commit, folder).hexsha, environment)

    def _tree(self, commit: git.Commit, folder: str) -> git.Tree:
        tree = objects.subtree(commit.tree, folder)
        if tree is None:
            raise UsageError(f"{self._name} has no {folder} at {commit.hexsha[:7]}", hint=self._others())
        return tree

    def environments(self) -> tuple[str, ...]:
        """The folders of `specs/`, whatever is in them."""
        if self._commit is None:
            names = worktree.folders(Path(self._git.working_dir) / FOLDER)
        else:
            tree = objects.subtree(self._commit.tree, FOLDER)
            names = objects.folders(tree) if tree else []
        return tuple(sorted(name for name in names if name != RESERVED))

    def vanished(self, environment: str, services: Iterable[str]) -> dict[str, str]:
        """The commits (short) that took the documents of *services* away, so far as the history tells."""
        head = self._commit or self._head
        return history.vanished(head, f"{FOLDER}/{environment}", services) if head else {}

    @property
    def lost(self) -> str:
        """Why the repository may not tell everything that was ever declared; "" where it does."""
        return SHALLOW if self._shallow else ""

    @property
    def _shallow(self) -> bool:
        return (Path(self._git.common_dir) / "shallow").exists()

    @cached_property
    def base_url(self) -> str:
        """Where the repository lies for relative clone URLs: as for git's submodules, its remote `origin`, else itself."""
        if self._remote:
            return cloneurl.bare(self.repo)
        origins = [remote.url for remote in self._git.remotes if remote.name == "origin"]
        url = origins[0] if origins else str(self._git.working_tree_dir or self._git.git_dir)
        return cloneurl.bare(url) if _URL.match(url) else str((Path(self._git.git_dir).parent / url).resolve())

    @cached_property
    def _git(self) -> git.Repo:
        if self._remote:
            return cache.fetched(self.repo, self.ref, self._cache)
        try:
            repo = git.Repo(self.repo, search_parent_directories=True)
            repo.git.update_environment(**batch.SEALED)
            return repo  # noqa: TRY300 - what follows is about opening it
        except (InvalidGitRepositoryError, NoSuchPathError) as error:
            raise UsageError(f"{self.repo} is no git repository", hint="name one with --repo, or make one with git init") from error

    @cached_property
    def _commit(self) -> git.Commit | None:
        """The commit to read; None for the working tree as it is."""
        if self.ref is None and not self._git.bare:
            return None
        found = objects.commit(self._git, self.ref or (cache.HEAD if self._remote else "HEAD"))
        if found is None:
            raise self._unresolved()
        return found

    def _unresolved(self) -> UsageError:
        if self.ref is None:
            return UsageError(f"{self._name} has no commit yet", hint="commit the specs, and push them")
        hint = (
            "the clone is shallow: git fetch --unshallow" if self._shallow else "name a commit, tag or branch that is there; is it pushed?"
        )
        return UsageError(f"{self._name} has no {self.ref}", hint=hint)

    @property
    def _head(self) -> git.Commit | None:
        return self._git.head.commit if self._git.head.is_valid() else None

    def _as_it_is(self, environment: str, folder: str) -> tuple[Revision, Mapping[str, bytes]]:
        root = Path(self._git.working_dir)
        if environment not in worktree.folders(root / FOLDER):
            raise UsageError(f"{self._name} has no folder {folder}", hint=self._others())
        try:
            texts, tree = worktree.read(self._git, folder)
        except (OSError, GitError) as error:
            raise ProviderError(f"{root / folder} cannot be read: {cloneurl.redact(str(error))}", hint="check who owns it") from error
        head = self._head
        committed = self._committed(head, folder) if head else None
        clean = head is not None and committed is not None and committed.hexsha == tree
        return Revision(head.hexsha if head and clean else "", tree, environment), texts

    def _committed(self, head: git.Commit, folder: str) -> git.Tree | None:
        """What *head* has of *folder*; None also where its trees are not here, and so cannot be what the working tree is."""
        try:
            return objects.subtree(head.tree, folder)
        except ProviderError:
            return None

    def _others(self) -> str:
        found = self.environments()
        return f"it has {', '.join(found)}" if found else f"{FOLDER}/<environment>/environment.yaml makes an environment"

    @property
    def _name(self) -> str:
        return cloneurl.bare(self.repo) if self._remote else str(Path(self.repo).absolute())


def _folder(environment: str) -> str:
    if not re.fullmatch(LABEL, environment):
        raise UsageError(f"{environment!r} is no name of an environment", hint="it is a DNS label, the name of a folder of specs/")
    return f"{FOLDER}/{environment}"
