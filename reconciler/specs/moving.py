"""What is wrong with the `movedFrom` of a service, told by what else its commit declares. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.model.origin import Fault
from reconciler.specs.draft import Draft


def faults(drafts: Iterable[Draft]) -> Iterator[Fault]:
    """A fault for each service that cannot have been moved from where it says."""
    drafts = tuple(drafts)
    named = {draft.name: draft for draft in drafts}
    takers: dict[str, Draft] = {}
    for draft in drafts:
        if not draft.moved:
            continue
        where, source = ("spec", "movedFrom", "name"), draft.moved
        taker, still = takers.setdefault(source, draft), named.get(source)
        if source == draft.name:
            yield draft.fault(
                f"movedFrom names {source}, which is its own name", "name the service that it was before, or leave it out", *where
            )
        elif still:
            told = f"movedFrom names {source}, which is still declared ({still.origin})"
            yield draft.clash(still, told, f"remove {source} in the same commit", *where)
        elif taker is not draft:
            yield draft.clash(taker, f"{taker.name} moves from it too ({taker.origin})", "let one of them go", *where)
