"""What a person can do wrong with the lab, or the machine to it."""

from __future__ import annotations


class LabError(Exception):
    """Says what went wrong and where; *hint* says what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
