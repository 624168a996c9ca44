"""Moments as AWS's tags and people write them: whole seconds of UTC, `2026-11-22T18:00:00Z`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_FORM = "%Y-%m-%dT%H:%M:%SZ"


def spell(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(_FORM)


def read(text: str) -> datetime:
    """The moment that *text* spells; ValueError where it spells none."""
    return datetime.strptime(text, _FORM).replace(tzinfo=UTC)


def whole(moment: datetime) -> datetime:
    """The next whole second: never early, and the same however often it is read."""
    later = moment.astimezone(UTC) + timedelta(microseconds=999_999)
    return later.replace(microsecond=0)
