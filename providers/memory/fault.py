"""Faults that tests order of a fake: which operation fails, with what, how often. Counted, never random."""

from __future__ import annotations

import threading
from collections import Counter

from reconciler import errors


class Faults:
    """What is to go wrong, by operation; every call is counted, also those that fail."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._ordered: dict[str, tuple[errors.ProviderError, int]] = {}
        self._lock = threading.Lock()

    def fail(self, operation: str, error: errors.ProviderError | None = None, *, times: int = 1_000_000) -> None:
        """Let the next *times* calls of *operation* fail."""
        told = error or errors.ProviderError(f"{operation} was told to fail", code="Told")
        self._ordered[operation] = (told, times)

    def heal(self) -> None:
        """From now on everything works."""
        self._ordered.clear()

    def strike(self, *operations: str) -> None:
        """Count a call that goes by *operations*, and fail it if one of them was told to fail."""
        with self._lock:
            self.calls.update(operations)
            for operation in operations:
                error, left = self._ordered.get(operation, (None, 0))
                if error and left > 0:
                    self._ordered[operation] = (error, left - 1)
                    raise error
