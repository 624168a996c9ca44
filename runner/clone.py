"""The first step of a session: fetch each layer at its commit, and write the inventory. Whatever fails, the session does not begin."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from reconciler.model.work import Clone
from runner import inventory
from runner.place import SESSION, Place, here

DELAYS = (1.0, 2.0, 4.0, 8.0)  # seconds between tries
TIMEOUT = 600.0  # of one git command
_ASKPASS = """#!/bin/sh
case "$1" in
Username*) if [ -n "$RECONCILER_GIT_KEY" ]; then echo x-access-token; else cat "$RECONCILER_GIT_SECRET/username"; fi ;;
*) cat "$RECONCILER_GIT_SECRET/${RECONCILER_GIT_KEY:-password}" ;;
esac
"""


class CloneError(Exception):
    """Git refused; the message is for people."""


def main() -> int:
    """The exit code; what went wrong is the last line of the log."""
    place = here()
    try:
        prepare(place, os.environ[SESSION])
    except (CloneError, OSError, ValueError) as error:
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
            raise CloneError(f"{layer.clone.clone_url} has no playbook {layer.playbook} at {layer.clone.commit}")
    if work.inventory:
        fetch(place, work.inventory, place.additional)
    inventory.write(work, place)


def fetch(place: Place, clone: Clone, folder: Path) -> None:
    """*clone* at its commit in *folder*, tried again for as long as DELAYS say."""
    for delay in (*DELAYS, None):
        try:
            return _fetch(place, clone, folder)
        except CloneError as error:
            if delay is None:
                raise
            print(f"{error}; again in {delay:.0f} s", file=sys.stderr)  # noqa: T201
            time.sleep(delay)
    raise AssertionError


def _fetch(place: Place, clone: Clone, folder: Path) -> None:
    """The commit alone where the server gives it, else everything that its branches and tags hold."""
    environment = _environment(place, clone)
    _git(["init", "-q", "--template=", str(folder)], environment)
    git = ["-C", str(folder), "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false"]
    fetching = [*git, "fetch", "-q", "--no-recurse-submodules"]
    try:
        _git([*fetching, "--depth=1", clone.clone_url, clone.commit], environment)
    except CloneError:
        _git([*fetching, "--tags", clone.clone_url, "+refs/heads/*:refs/remotes/origin/*"], environment)
    _git([*git, "checkout", "-q", "--force", "--detach", clone.commit], environment)


def _git(arguments: list[str], environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(["git", *arguments], env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise CloneError(f"git did not end within {TIMEOUT:.0f} s") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise CloneError(f"git: {said[-1] if said else f'exit code {done.returncode}'} ({arguments[-2]} {arguments[-1]})")


def _environment(place: Place, clone: Clone) -> dict[str, str]:
    """What git runs with: no prompt, no transport that runs commands, credentials by files only."""
    settings = _written(place.root / "gitconfig", "[safe]\n\tdirectory = *\n", 0o600)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_") and name != SESSION},
        "GIT_CONFIG_GLOBAL": str(settings),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file",
    }
    if clone.ca:
        environment["GIT_SSL_CAINFO"] = str(_written(place.root / "git-ca.pem", clone.ca, 0o600))
    if clone.credentials:
        secret = place.mounts / "credentials" / clone.credentials
        environment |= {
            "GIT_ASKPASS": str(_written(place.root / "askpass", _ASKPASS, 0o700)),
            "RECONCILER_GIT_SECRET": str(secret),
            "RECONCILER_GIT_KEY": clone.credentials_key,
        }
        if (key := place.mounted(f"credentials/{clone.credentials}", "ssh-privatekey")) is not None:
            private = _written(place.root / f"git-{clone.credentials}.key", key.read_text(encoding="utf-8"), 0o600)
            environment["GIT_SSH_COMMAND"] = f"ssh -i '{private}' -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new"
    return environment


def _written(path: Path, text: str, mode: int) -> Path:
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(text, encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
