"""Which version this server is, and which one its data is for: a document of the set, by which servers know whether it is for them."""

from __future__ import annotations

import os
from typing import Any

from lab.standins.mongod.log import Documents
from lab.standins.mongod.refusal import Refusal
from lab.standins.mongod.wire import Document

MAJOR = os.environ.get("MONGO_MAJOR", "8.0")  # as the image says it
PLACE = ("admin.system.version", "featureCompatibilityVersion")  # namespace and id of the document
_SERIES = ("6.0", "7.0", "8.0")


def first() -> tuple[str, str, Document]:
    """The change by which a set that is new is of this version."""
    return written(MAJOR)


def written(version: str) -> tuple[str, str, Document]:
    return (*PLACE, {"_id": PLACE[1], "version": version})


def of(documents: Documents) -> str:
    """The version that the data is for; "" where there is none yet."""
    found = documents.get(*PLACE)
    return str(found["version"]) if found else ""


def fault(documents: Documents) -> str:
    """Why this server cannot start on its data; "" where it can."""
    known = of(documents)
    return "" if not known or known in _known() else _unknown(known)


def check(body: dict[str, Any]) -> str:
    """The version that *body* asks for.

    Raises:
        Refusal: it cannot be that, or whoever asks does not say that there is no way back.
    """
    version = body["setFeatureCompatibilityVersion"]
    if version not in _known():
        raise Refusal(4926900, _unknown(version))
    if body.get("confirm") is not True:
        text = f"Once you have upgraded to {MAJOR}, you will not be able to downgrade FCV and binary version without support assistance."
        raise Refusal(7369100, f"{text} Please re-run this command with 'confirm: true' to acknowledge this and continue")
    return str(version)


def _known() -> tuple[str, ...]:
    """This version and the one before it."""
    place = _SERIES.index(MAJOR)
    return _SERIES[max(place - 1, 0) : place + 1]


def _unknown(version: object) -> str:
    return f"Invalid feature compatibility version value '{version}'; expected {' or '.join(repr(one) for one in _known())}"
