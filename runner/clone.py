"""The first step of a session: fetch each layer at its commit, and write the inventory. Whatever fails, the session does not begin."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from reconciler.model.work import Clone
from runner import git, inventory
from runner.place import SESSION, Place, here

DELAYS = (1.0, 2.0, 4.0, 8.0)  # seconds between tries


def main() -> int:
    """The exit code; what went wrong is the last line of the log."""
    place = here()
    try:
        prepare(place, os.environ[SESSION])
    except (git.GitError, OSError, ValueError) as error:
        print(f"the session cannot begin: {error}", file=sys.stderr)  # noqa: T201 - a container's log is its voice
        return 1
    return 0


def prepare(place: Place, text: str) -> None:
    """Everything that the session of *text* needs, in *place*."""
    work = place.keep(text)
    for layer in work.layers:
        print(f"layer {layer.index}: {layer.clone.clone_url} at {layer.clone.commit}")  # noqa: T201
        fetch(place, layer.clone, place.layer(layer.index))
        if not (place.layer(layer.index) / layer.playbook).is_file():
            raise git.GitError(f"{layer.clone.clone_url} has no playbook {layer.playbook} at {layer.clone.commit}")
    if work.inventory:
        fetch(place, work.inventory, place.additional)
    inventory.write(work, place)


def fetch(place: Place, clone: Clone, folder: Path) -> None:
    """*clone* at its commit in *folder*, tried again for as long as DELAYS say."""
    for delay in (*DELAYS, None):
        try:
            return _fetch(place, clone, folder)
        except git.GitError as error:
            if delay is None:
                raise
            print(f"{error}; again in {delay:.0f} s", file=sys.stderr)  # noqa: T201
            time.sleep(delay)
    raise AssertionError


def _fetch(place: Place, clone: Clone, folder: Path) -> None:
    """The commit alone where the server gives it, else everything that its branches and tags hold."""
    environment = git.environment(place, clone)
    git.run(["init", "-q", "--template=", str(folder)], environment)
    inside = ["-C", str(folder), "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false"]
    fetching = [*inside, "fetch", "-q", "--no-recurse-submodules"]
    try:
        git.run([*fetching, "--depth=1", clone.clone_url, clone.commit], environment)
    except git.GitError:
        git.run([*fetching, "--tags", clone.clone_url, "+refs/heads/*:refs/remotes/origin/*"], environment)
    git.run([*inside, "checkout", "-q", "--force", "--detach", clone.commit], environment)


if __name__ == "__main__":
    sys.exit(main())
