"""Git as a session runs it: no prompt, no transport that runs commands, credentials by files only and never in an argument."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from reconciler.model.work import Clone
from runner.place import SESSION, Place

TIMEOUT = 600.0  # seconds for one command
_ASKPASS = """#!/bin/sh
case "$1" in
Username*) if [ -n "$RECONCILER_GIT_KEY" ]; then echo x-access-token; else cat "$RECONCILER_GIT_SECRET/username"; fi ;;
*) cat "$RECONCILER_GIT_SECRET/${RECONCILER_GIT_KEY:-password}" ;;
esac
"""


class GitError(Exception):
    """Git refused; the message is for people."""


def run(arguments: list[str], environment: Mapping[str, str], *, timeout: float = TIMEOUT) -> str:
    """What git prints."""
    try:
        done = subprocess.run(["git", *arguments], env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise GitError(f"git did not end within {timeout:.0f} s") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise GitError(f"git: {said[-1] if said else f'exit code {done.returncode}'} ({shlex.join(arguments[-2:])})")
    return done.stdout


def environment(place: Place, clone: Clone) -> dict[str, str]:
    """What git runs with: no prompt, no transport that runs commands, credentials by files only."""
    config = _written(place.root / "gitconfig", "[safe]\n\tdirectory = *\n", 0o600)
    settings = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_") and name != SESSION},
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file",
    }
    if clone.ca:
        settings["GIT_SSL_CAINFO"] = str(_written(place.root / "git-ca.pem", clone.ca, 0o600))
    if clone.credentials:
        secret = place.mounts / "credentials" / clone.credentials
        settings |= {
            "GIT_ASKPASS": str(_written(place.root / "askpass", _ASKPASS, 0o700)),
            "RECONCILER_GIT_SECRET": str(secret),
            "RECONCILER_GIT_KEY": clone.credentials_key,
        }
        if (key := place.mounted(f"credentials/{clone.credentials}", "ssh-privatekey")) is not None:
            private = _written(place.root / f"git-{clone.credentials}.key", key.read_text(encoding="utf-8"), 0o600)
            settings["GIT_SSH_COMMAND"] = f"ssh -i '{private}' -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new"
    return settings


def _written(path: Path, text: str, mode: int) -> Path:
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(text, encoding="utf-8")
    return path
