"""Refusals in the words of AWS's adapter."""

from __future__ import annotations

from reconciler import errors


def refuse(code: str, message: str) -> errors.ProviderError:
    """The error that `providers.aws` makes of AWS's *code* and *message*."""
    return errors.ProviderError(f"AWS refused: {code}: {message}", code=code, status=400)
