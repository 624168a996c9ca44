"""Host lists: what they stand for, told without expanding them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.hostlist import HostList, HostRange

NAMES = {
    "nid[000001-000003]": ["nid000001", "nid000002", "nid000003"],
    "x3000c0s[0-1]b0n[0-1]": ["x3000c0s0b0n0", "x3000c0s0b0n1", "x3000c0s1b0n0", "x3000c0s1b0n1"],
    "a[1-3,7]": ["a1", "a2", "a3", "a7"],
    "a[8-11]": ["a8", "a9", "a10", "a11"],
    "a[08-11]": ["a08", "a09", "a10", "a11"],
    "a[0-1]": ["a0", "a1"],
    "a[5]": ["a5"],
    "web-1.example.org": ["web-1.example.org"],
    "[1-2]x": ["1x", "2x"],
    "[1,13][2-3,23]": ["12", "13", "123", "132", "133", "1323"],
}


@pytest.mark.parametrize("text", NAMES)
def test_a_range_stands_for_its_names_in_order(text):
    hosts = HostRange.parse(text)
    assert list(hosts) == NAMES[text]
    assert len(hosts) == len(NAMES[text])
    assert all(name in hosts for name in NAMES[text])
    assert str(hosts) == text


@pytest.mark.parametrize(
    "stranger", ["nid1", "nid000004", "nid0000001", "nid", "nidx00001", "NID000001", "nid000001x", "", "nid00000\u0661"]
)
def test_what_is_written_otherwise_is_not_in_a_range(stranger):
    assert stranger not in HostRange.parse("nid[000001-000003]")
    assert 7 not in HostRange.parse("nid[000001-000003]")


def test_a_million_names_are_counted_and_searched_without_being_walked():
    hosts = HostList.parse("nid[000000-999999]", "x[1-3]")
    assert len(hosts) == 1_000_003
    assert "nid123456" in hosts
    assert "x4" not in hosts


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no host list"),
        ("a[1-3", "is no host list"),
        ("a1-3]", "is no host list"),
        ("a[]", "is no host list"),
        ("a[1-]", "is no host list"),
        ("a[1,,2]", "is no host list"),
        ("a[x-z]", "is no host list"),
        ("a b", "is no host list"),
        ("a,b", "is no host list"),
        ("-a", "a name begins with a letter or a digit"),
        (".a", "a name begins with a letter or a digit"),
        ("../a", "is no host list"),
        ("a[3-1]", r"\[3-1\] runs backwards: write \[1-3\]"),
        ("a[01-100]", "ends of different widths"),
        ("a[1-5,3]", "names some numbers more than once"),
        ("a[0-9999999]", "names more than 1,000,000 components"),
        ("a[0-999][0-9999]", "names more than 1,000,000 components"),
        ("a[0-999999999999999999][0-999999999999999999]", "names more than 1,000,000 components"),
    ],
)
def test_bad_syntax_says_what_is_wrong(text, why):
    with pytest.raises(ValueError, match=why):
        HostRange.parse(text)


SPANS = st.tuples(st.integers(0, 150), st.integers(0, 12), st.integers(1, 4)).map(
    lambda one: f"{one[0]:0{one[2]}d}-{one[0] + one[1]:0{max(one[2], len(str(one[0])))}d}"
)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "1", "-b"]) | SPANS.map(lambda span: f"[{span}]"), min_size=1, max_size=4))
def test_a_range_holds_just_what_it_lists(pieces):
    text = "x" + "".join(pieces)
    try:
        hosts = HostRange.parse(text)
    except ValueError:
        return
    names = list(hosts)
    assert len(hosts) == len(names)
    assert all(name in hosts for name in names)
    assert not any(f"{name}0" in hosts for name in names if f"{name}0" not in names)
