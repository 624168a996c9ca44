"""Pages of describes: moto gives all at once. A page's token names its last item's place, so nothing moves when items come and go."""

from __future__ import annotations

import base64
import binascii
import itertools
from typing import Protocol, TypeVar

from moto.ec2.exceptions import EC2ClientError

LEAST, MOST = 5, 1000
PREFIX = "lab-page:"
_serials = itertools.count(1)


class Numbered(Protocol):
    """Something that is paged; *serial* is its place among all that were ever made."""

    serial: int


Item = TypeVar("Item", bound=Numbered)


def serial() -> int:
    """The next place."""
    return next(_serials)


def cut(items: list[Item], size: int | None, token: str | None) -> tuple[list[Item], str | None]:
    """The page of *items* that *token* names, at most *size* long (None and no token: all), and the next one's token."""
    if size is None and token is None:
        return items, None
    last = _place(token) if token else 0
    rest = sorted((item for item in items if item.serial > last), key=lambda item: item.serial)
    page = rest[: size or MOST]
    return page, _token(page[-1].serial) if len(rest) > len(page) else None


def size(wanted: int | None, *, capped: bool = False) -> int | None:
    """*wanted* if it may be a page's size; *capped*: more than the most is the most, not an error."""
    if wanted is None:
        return None
    if wanted < LEAST:
        raise EC2ClientError(
            "InvalidParameterValue", f"Value ( {wanted} ) for parameter maxResults is invalid. Expecting a value greater than {LEAST}."
        )
    if wanted > MOST and not capped:
        raise EC2ClientError(
            "InvalidParameterValue", f"Value ( {wanted} ) for parameter maxResults is invalid. Expecting a value smaller than {MOST}."
        )
    return min(wanted, MOST)


def alone(ids: list[str], wanted: int | None, parameter: str) -> None:
    """Refuse a page's size beside *ids*."""
    if ids and wanted is not None:
        raise EC2ClientError("InvalidParameterCombination", f"The parameter {parameter} cannot be used with the parameter maxResults")


def _token(place: int) -> str:
    return base64.urlsafe_b64encode(f"{PREFIX}{place}".encode()).decode()


def _place(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix(PREFIX))
    except (ValueError, binascii.Error):
        raise EC2ClientError("InvalidPaginationToken", "The specified pagination token is not valid or is expired.") from None
