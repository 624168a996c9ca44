"""Names as Route 53 keeps them. https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.aws.strict import dns_name, rdata

PRINTABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=".\\"), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("A.Example", "a.example."),
        ("a.example.", "a.example."),
        ("*.example", r"\052.example."),
        (r"\052.example", r"\052.example."),
        (r"\101\056b.example", r"a\056b.example."),
        ("_srv._tcp.a-b.example", "_srv._tcp.a-b.example."),
    ],
)
def test_a_name_is_kept_in_one_form(given_name: str, kept: str) -> None:
    assert dns_name.canonical(given_name) == kept


@given(st.lists(PRINTABLE, min_size=1, max_size=5))
def test_the_form_is_stable_and_keeps_the_labels(labels: list[str]) -> None:
    kept = dns_name.canonical(".".join(labels))
    assert dns_name.canonical(kept) == kept
    assert len(kept.removesuffix(".").split(".")) == len(labels)


@pytest.mark.parametrize("wrong", ["a b.example", "ä.example", "a..example", f"{'a' * 64}.example", ".".join(["a" * 60] * 5)])
def test_a_name_that_cannot_be_is_refused(wrong: str) -> None:
    with pytest.raises(dns_name.BadNameError):
        dns_name.canonical(wrong)


@pytest.mark.parametrize(
    ("kind", "value", "fine"),
    [
        ("A", "192.0.2.1", True),
        ("A", "192.0.2.256", False),
        ("AAAA", "2001:db8::1", True),
        ("AAAA", "192.0.2.1", False),
        ("TXT", '"a b" "c"', True),
        ("TXT", '"a', False),
        ("SRV", "1 2 6379 a.example", True),
        ("SRV", "1 2 99999 a.example", False),
        ("MX", "10 mail.example", True),
        ("MX", "mail.example", False),
        ("CNAME", "a..example", False),
        ("CAA", "anything", True),
    ],
)
def test_values_are_checked_by_type(kind: str, value: str, *, fine: bool) -> None:
    assert (rdata.fault(kind, value) is None) is fine
