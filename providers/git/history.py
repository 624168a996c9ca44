"""What git's history says of documents that are gone."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import git

from providers.git.objects import FAILURES, SUFFIXES, blob
from reconciler.specs import syntax

_FAR_ENOUGH = 1000  # commits


def vanished(head: git.Commit, folder: str, services: Iterable[str]) -> dict[str, str]:
    """By service the short hash of the commit that took its document out of *folder*.

    Walks back from *head* along first parents. Left out is what *head* still declares, and what a shallow or partial clone does not
    show.
    """
    wanted, found = set(services), dict[str, str]()
    with suppress(*FAILURES):
        _walk(head, folder, wanted, found)
    return found


def _walk(head: git.Commit, folder: str, wanted: set[str], found: dict[str, str]) -> None:
    for commit in head.repo.iter_commits(head, paths=folder, first_parent=True, max_count=_FAR_ENOUGH):
        if not wanted or not commit.parents or not commit.repo.odb.has_object(commit.parents[0].binsha):
            return
        before, after = _changed(commit, folder)
        gone = wanted & (before - after)
        found |= dict.fromkeys(gone, commit.hexsha[:7])
        wanted -= before | after


def _changed(commit: git.Commit, folder: str) -> tuple[set[str], set[str]]:
    """The services that the files declare which *commit* touches: before it, and with it."""
    before: set[str] = set()
    after: set[str] = set()
    for diff in commit.parents[0].diff(commit, paths=folder):
        for names, side in ((before, diff.a_blob), (after, diff.b_blob)):
            if side is not None and str(side.path).endswith(SUFFIXES):
                names.update(_services(blob(commit.repo, side.binsha)))
    return before, after


def _services(text: bytes) -> Iterable[str]:
    for root in syntax.compose(text)[0]:
        document = root.plain
        if isinstance(document, dict) and document.get("kind") == "Service" and isinstance(document.get("metadata"), dict):
            name = document["metadata"].get("name")
            if isinstance(name, str):
                yield name
