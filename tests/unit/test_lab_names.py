"""What lies at a name of a zone: a record, a name without that record, or nothing."""

from __future__ import annotations

import dns.name
import dns.rdatatype
import dns.rrset
import pytest

from lab.names import Zone

A = dns.rdatatype.A
ORIGIN = dns.name.from_text("db.internal.")


def zone(*names: str) -> Zone:
    owners = [dns.name.from_text(name, ORIGIN) for name in names]
    return Zone(ORIGIN, {ORIGIN: {}} | {name: {A: dns.rrset.from_text(name, 5, "IN", "A", "10.200.128.1")} for name in owners})


@pytest.mark.parametrize(
    ("names", "asked", "said"),
    [
        (["a"], "a", "record"),
        (["a"], "A", "record"),
        (["a"], "b", "nothing"),
        (["a.deep"], "deep", "no such type"),
        (["*"], "any", "record"),
        (["*"], "any.thing", "record"),
        (["*", "a"], "a", "record"),
        (["*", "a"], "below.a", "nothing"),
        (["*.w"], "w", "no such type"),
        (["*.w"], "other", "nothing"),
        (["*", "x.w"], "other.w", "nothing"),
    ],
)
def test_a_name_has_records_or_exists_without_them_or_does_not_exist(names: list[str], asked: str, said: str) -> None:
    found = zone(*names).at(dns.name.from_text(asked, ORIGIN))
    assert said == ("nothing" if found is None else "record" if A in found else "no such type")
