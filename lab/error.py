"""What a person can do wrong with the lab, or the machine to it."""

from __future__ import annotations

from reconciler import errors


class LabError(errors.UsageError):
    """No lab can be, or be reached, as things are here."""
