"""Generations of a service's generated secrets: `spec.rotation` counts them, and the name of each says which it is. Pure."""

from __future__ import annotations


def name(base: str, generation: int) -> str:
    """The Secret of a *generation*."""
    return f"{base}-{generation}" if generation else base


def former(base: str, generation: int) -> tuple[str, ...]:
    """Those of all generations before, the latest first; the others are gone, unless a rotation began before the last one was through."""
    return tuple(name(base, earlier) for earlier in reversed(range(generation)))
