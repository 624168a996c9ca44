"""The commit that a branch or tag is at, asked of its repository without cloning it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from reconciler.errors import ProviderError, TransientError
from reconciler.model.work import Clone
from runner import git
from runner.place import Place

TIMEOUT = 60.0
Secret = Callable[[str], Mapping[str, bytes]]


def tips(secret: Secret) -> Callable[[Clone, str], str]:
    """`tip(clone, branch)`, with credentials from *secret*: a commit, or a ProviderError that says what could not be read."""

    def tip(clone: Clone, branch: str) -> str:
        with tempfile.TemporaryDirectory(prefix="tip-") as folder:
            place = Place(Path(folder), Path(folder) / "mounts")
            if clone.credentials:
                _keep(place.mounts / "credentials" / clone.credentials, secret(clone.credentials))
            return _chosen(_refs(place, clone, branch), clone, branch)

    return tip


def _refs(place: Place, clone: Clone, branch: str) -> dict[str, str]:
    names = [f"refs/heads/{branch}", f"refs/tags/{branch}", f"refs/tags/{branch}^{{}}"]
    try:
        said = git.run(["ls-remote", clone.clone_url, *names], git.environment(place, clone), timeout=TIMEOUT)
    except git.GitError as error:
        where = f"branch {branch} of {clone.clone_url}"
        raise TransientError(f"{where} cannot be read: {error}", hint="check the URL, and the credentials of its Source") from error
    return {name: commit for commit, name in (line.split("\t") for line in said.splitlines())}


def _chosen(refs: Mapping[str, str], clone: Clone, branch: str) -> str:
    """A branch before a tag of its name; of an annotated tag the commit."""
    for name in (f"refs/heads/{branch}", f"refs/tags/{branch}^{{}}", f"refs/tags/{branch}"):
        if name in refs:
            return refs[name]
    raise ProviderError(f"{clone.clone_url} has no branch or tag {branch}", hint="push it, or correct the layer's branch")


def _keep(folder: Path, secret: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, mode=0o700)
    for key, content in secret.items():
        descriptor = os.open(folder / key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
