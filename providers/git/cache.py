"""Repositories behind URLs: fetched into bare clones of our own. Credentials go by the environment, into no argument and no file."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import git
from git.exc import GitCommandError

from reconciler.errors import ProviderError, TransientError, UsageError
from reconciler.model import cloneurl

HEAD = "refs/reconciler/head"  # what the remote's HEAD was when it was last fetched
TIMEOUT = 300  # seconds for one fetch
_REFSPECS = (f"+HEAD:{HEAD}", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_HELPER = '!f() { echo "username=$RECONCILE_GIT_USER"; echo "password=$RECONCILE_GIT_PASSWORD"; }; f'


def fetched(url: str, ref: str | None, folder: Path) -> git.Repo:
    """A bare clone of *url* as it is now."""
    bare = cloneurl.bare(url)
    name = re.sub(r"[^A-Za-z0-9]+", "-", bare.rstrip("/").rpartition("/")[2].removesuffix(".git")) or "repository"
    place = folder / f"{name}-{hashlib.sha256(bare.encode()).hexdigest()[:16]}.git"
    place.mkdir(parents=True, exist_ok=True)
    with _locked(place):
        if not (place / "HEAD").exists():
            git.Git(place).init("--bare", "--quiet", env={"GIT_TEMPLATE_DIR": ""})  # a template may hold hooks
        repo = git.Repo(place)
        _fetch(repo, url, ref)
    return repo


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    with (place / "reconcile.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(repo: git.Repo, url: str, ref: str | None) -> None:
    bare = cloneurl.bare(url)
    with repo.git.custom_environment(**_environment(url)):
        try:
            repo.git.fetch("--prune", "--no-tags", "--quiet", bare, *_REFSPECS, kill_after_timeout=TIMEOUT)
            if ref and re.fullmatch(r"[0-9a-f]{40}", ref) and not _has(repo, ref):
                repo.git.fetch("--no-tags", "--quiet", bare, ref, kill_after_timeout=TIMEOUT)
        except GitCommandError as error:
            raise _refusal(bare, str(error.stderr)) from error


def _has(repo: git.Repo, ref: str) -> bool:
    try:
        repo.git.cat_file("-e", f"{ref}^{{commit}}")
    except GitCommandError:
        return False
    return True


def _environment(url: str) -> dict[str, str]:
    """What git runs with: no prompt, no transport that runs commands, and the URL's own credentials by a helper that reads variables."""
    environment = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
        "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"),
    }
    parts = urlsplit(url) if "://" in url else None
    if parts and parts.scheme in {"http", "https"} and parts.username is not None:
        secret = {"RECONCILE_GIT_USER": unquote(parts.username), "RECONCILE_GIT_PASSWORD": unquote(parts.password or "")}
        setting = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "credential.helper", "GIT_CONFIG_VALUE_0": _HELPER}
        environment |= secret | setting
    return environment


def _refusal(url: str, stderr: str) -> ProviderError | UsageError:
    said = [line.removeprefix("fatal: ").strip() for line in cloneurl.redact(stderr).replace("stderr:", "").strip(" '\n").splitlines()]
    why = next((line for line in said if line), "git said nothing")
    if "couldn't find remote ref HEAD" in stderr:
        return UsageError(f"{url} has no commit yet", hint="commit the specs, and push them")
    if any(word in stderr for word in ("not found", "does not appear to be a git repository", "does not exist", "Authentication failed")):
        return ProviderError(f"{url} cannot be read: {why}", hint="check the URL, and that you may read it")
    return TransientError(f"{url} cannot be read: {why}", hint="check the URL and the network, then try again")
