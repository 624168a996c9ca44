"""The wiring of what reads specs: a repository, this machine's defaults, what earlier runs kept → Desired. Light, for `validate`."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reconciler import kinds, local

if TYPE_CHECKING:  # GitPython is loaded by those who read specs only
    from providers.git import GitSpecs
    from reconciler.model.desired import Desired


def environments(repo: str, ref: str | None) -> tuple[str, ...]:
    """The environments that *repo* declares at *ref*."""
    return specs(repo, ref).environments()


def load(repo: str, ref: str | None, environment: str) -> Desired:
    """The desired state of *environment*; SpecError with every fault where none can be planned."""
    from providers import shelf  # noqa: PLC0415
    from reconciler.specs import load as loading  # noqa: PLC0415 - the parser is loaded by those who read specs

    here = local.read(environment)
    source = specs(repo, ref)
    with _nothing_to_collect():
        revision, texts = source.read(environment)
        return loading.load(
            texts,
            revision,
            kinds.service_types(),
            base_url=source.base_url,
            lost=source.lost,
            settle=lambda one: local.settled(one, here),
            shelf=shelf.opened(),
        )


def specs(repo: str, ref: str | None) -> GitSpecs:
    from providers import git  # noqa: PLC0415

    return git.GitSpecs(repo, ref, cache=local.root() / "git")


@contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """Hundreds of thousands of objects are made, and all of them are kept: looking for garbage among them takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
