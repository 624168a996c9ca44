"""EBS's budget: a volume may be modified four times in any 24 hours, and again only once the last modification is completed. Pure.

EBS tells of the latest modification only. What came before stands in the tag `marks.MODIFIED`, which a modification of ours brings up to
date: it needs no clock, since it writes down what was the latest until then. Somebody else's modifications but the latest are not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.model import moment

MOST, WINDOW = 4, timedelta(hours=24)  # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html
HISTORY = "modified"  # an observation's attribute: what `marks.MODIFIED` has to say from the next modification on
ENDED = frozenset({"completed", "failed"})


@dataclass(frozen=True, slots=True)
class Modification:
    """The latest modification of a volume."""

    state: str
    began: datetime


def history(latest: Modification | None, tag: str) -> tuple[datetime, ...]:
    """When a volume was modified as far as that is known, the newest last."""
    known = set(_read(tag)) | ({moment.whole(latest.began)} if latest else set())
    return tuple(sorted(known)[-MOST:])


def busy(latest: Modification | None, known: tuple[datetime, ...], now: datetime | None) -> str:
    """Why a volume cannot be modified at *now* (None: nobody knows), and until when; "" where it can.

    The words stay the same for as long as nothing happens: a plan made of them is the same plan a minute later.
    """
    if latest and latest.state not in ENDED:
        return f"its modification of {moment.spell(moment.whole(latest.began))} is not completed yet, and EBS makes one at a time"
    again = possible(known)
    if again is None or now is None or now >= again:
        return ""
    return f"it was modified {MOST} times within 24 hours, which is all that EBS allows; the next is possible at {moment.spell(again)}"


def possible(known: tuple[datetime, ...]) -> datetime | None:
    """From when on the budget has room for one more; None where it always had."""
    return known[-MOST] + WINDOW if len(known) >= MOST else None


def remembered(known: Iterable[datetime]) -> str:
    """What the tag has to say from the next modification on: all but that one."""
    return " ".join(moment.spell(one) for one in sorted(known)[-(MOST - 1) :])


def _read(tag: str) -> Iterable[datetime]:
    """The moments of a tag's text; what a person wrote there is no moment."""
    for word in tag.split():
        try:
            yield moment.read(word)
        except ValueError:
            continue
