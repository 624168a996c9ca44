"""Quantities and durations: compared by value, kept as written."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from reconciler.model.duration import Duration
from reconciler.model.quantity import Quantity, Size

QUANTITIES = {
    "1Gi": 1 << 30, "1Ki": 1024, "100": 100, "1k": 1000, "0.5": Decimal("0.5"), "500m": Decimal("0.5"), "1e3": 1000, "1E3": 1000,
    "1E": 10**18, "2Ei": 2 << 60, ".5Gi": 1 << 29, "1.": 1, "-1": -1, "+1M": 10**6, "100n": Decimal("1e-7"), "5u": Decimal("5e-6"),
}  # fmt: skip


@pytest.mark.parametrize("text", QUANTITIES)
def test_a_quantity_is_what_kubernetes_takes_it_for(text):
    assert Quantity.parse(text).value == QUANTITIES[text]
    assert str(Quantity.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "Gi", "1 Gi", "1gi", "1GiB", "1e", "0x10", "1_000", "\u0661", "1e999", "9Ei", "9" * 40, "1.0000000001"]
)
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="quantity"):
        Quantity.parse(text)


def test_quantities_are_equal_by_value():
    assert Quantity.parse("1024Mi") == Quantity.parse("1Gi")
    assert hash(Quantity.parse("1000m")) == hash(Quantity.parse("1"))
    assert Quantity.parse("999Mi") < Quantity.parse("1Gi")
    assert Quantity.parse("1.5Gi").gib == 2
    assert Quantity.parse("100m").bytes == 1


@pytest.mark.parametrize(("given_", "gib"), [("1", 1), ("1.5Gi", 2), ("0", 1), ("-3Gi", 1), (100, 1)])
def test_a_volume_has_whole_gibibytes(given_, gib):
    with pytest.raises(ValidationError, match=f"write {gib}Gi"):
        TypeAdapter(Size).validate_python(given_)
    assert TypeAdapter(Size).validate_python("1Ti").gib == 1024
    assert TypeAdapter(Size).validate_python("1024Mi").gib == 1


@pytest.mark.parametrize(
    ("given_", "text"), [(0.5, "0.5"), (1.25, "1.25"), (0.1, "0.1"), (2.0, "2"), (1000.0, "1000"), (1e-9, "0.000000001")]
)
def test_a_number_with_a_fraction_is_a_quantity_of_the_digits_that_were_written(given_, text):
    """`cpu: 0.5` without quotes is a float of YAML, and what everybody writes."""
    found = TypeAdapter(Quantity).validate_python(given_)
    assert (str(found), found.value) == (text, Decimal(text))


@pytest.mark.parametrize("given_", [float("nan"), float("inf"), 1e-12, 1e30])
def test_a_number_that_is_out_of_range_is_no_quantity(given_):
    with pytest.raises(ValidationError, match="quantity"):
        TypeAdapter(Quantity).validate_python(given_)


@pytest.mark.parametrize("given_", [True, None, [], b"1Gi"])
def test_only_strings_and_numbers_are_quantities(given_):
    with pytest.raises(ValidationError, match="must be a quantity"):
        TypeAdapter(Quantity).validate_python(given_)


DURATIONS = {
    "5s": 5, "1h30m": 5400, "7d": 604800, "250ms": Fraction(1, 4), "1.5h": 5400, "0": 0, "0s": 0, "1d12h": 129600, ".5m": 30,
    "3us": Fraction(3, 10**6), "3µs": Fraction(3, 10**6), "7ns": Fraction(7, 10**9), "1m60s": 120,
}  # fmt: skip


@pytest.mark.parametrize("text", DURATIONS)
def test_a_duration_is_what_go_takes_it_for(text):
    assert Duration.parse(text).exact == DURATIONS[text]
    assert Duration.parse(text).seconds == pytest.approx(float(DURATIONS[text]))
    assert str(Duration.parse(text)) == text


@pytest.mark.parametrize("text", ["", "5", "5 s", "s", "-5s", "1w", "1h 30m", "1.h.", "\u0665s", "5S"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="is no duration"):
        Duration.parse(text)


def test_durations_are_equal_by_value_and_whole_seconds_round_up():
    assert Duration.parse("60s") == Duration.parse("1m")
    assert Duration.parse("59s") < Duration.parse("1m")
    assert int(Duration.parse("1500ms")) == 2


@given(st.integers(0, 10**9), st.sampled_from(["Ki", "Mi", "Gi", "k", "M", "G", "m", ""]))
def test_a_quantity_of_any_suffix_survives_being_written_and_read(number, suffix):
    quantity = Quantity.parse(f"{number}{suffix}")
    assert TypeAdapter(Quantity).validate_json(TypeAdapter(Quantity).dump_json(quantity)) == quantity
