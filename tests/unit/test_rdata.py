"""Values of records that say the same in other words, and those that do not."""

from __future__ import annotations

import pytest

from providers import rdata


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("A", "10.0.0.1", " 10.0.0.1 "),
        ("AAAA", "2001:DB8:0:0::1", "2001:db8::1"),
        ("CNAME", "Elsewhere.Example.", "elsewhere.example"),
        ("CNAME", "\\052.example", "*.Example."),
        ("MX", "010  Mail.Example.", "10 mail.example"),
        ("SRV", "0 05 6379 kv-0.db.internal", "0 5 6379 KV-0.db.internal."),
        ("TXT", '"v=spf1 -all"', "v=spf1 -all"),
        ("TXT", '"abc" "def"', '"abcdef"'),
        ("TXT", '"a\\"b"', '"a\\042b"'),
        ("CAA", '0 issue "ca.example"', '0  issue  "ca.example"'),
    ],
)
def test_one_value_in_two_spellings_is_one(kind: str, one: str, other: str) -> None:
    assert rdata.canonical(kind, one) == rdata.canonical(kind, other)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("A", "10.0.0.1", "10.0.0.2"),
        ("TXT", '"abc def"', '"abcdef"'),
        ("TXT", '"ABC"', '"abc"'),
        ("MX", "10 mail.example", "20 mail.example"),
        ("SRV", "0 5 6379 kv-0.example", "0 5 6380 kv-0.example"),
        ("CNAME", "a.example", "b.example"),
        ("A", "no address", "10.0.0.1"),
    ],
)
def test_two_values_stay_two(kind: str, one: str, other: str) -> None:
    assert rdata.canonical(kind, one) != rdata.canonical(kind, other)
