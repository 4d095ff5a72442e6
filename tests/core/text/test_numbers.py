"""Numbers: integers by range, floats rounded once."""

from __future__ import annotations

import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncwasm.core.text.numbers import float_bits, integer, signless, unsigned


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("0", 0),
        ("007", 7),
        ("1_000", 1000),
        ("0xdead_BEEF", 0xDEADBEEF),
        ("-0x10", -16),
        ("+5", 5),
        ("-" + "0" * 5000 + "5", -5),
        ("1.5", None),
        ("1e5", None),
        ("0x1p3", None),
        ("inf", None),
        ("$x", None),
        ("", None),
    ],
)
def test_integers(token: str, value: int | None):
    assert integer(token) == value


def test_integer_ranges():
    """Signed literals may use the whole signed and the whole unsigned range."""
    assert signless("-2147483648", 32) == 0x80000000
    assert signless("4294967295", 32) == 0xFFFFFFFF
    assert unsigned("255", 8) == 255
    assert unsigned("-1", 8) is None
    for bad in ("4294967296", "-2147483649", "9" * 10000):
        with pytest.raises(OverflowError):
            signless(bad, 32)
    with pytest.raises(OverflowError):
        unsigned("256", 8)


@pytest.mark.parametrize(
    ("token", "single", "double"),
    [
        ("0", 0, 0),
        ("-0.0", 0x80000000, 0x8000000000000000),
        ("-0x0p9999999999999999999999", 0x80000000, 0x8000000000000000),
        ("inf", 0x7F800000, 0x7FF0000000000000),
        ("-inf", 0xFF800000, 0xFFF0000000000000),
        ("nan", 0x7FC00000, 0x7FF8000000000000),
        ("-nan:0x1", 0xFF800001, 0xFFF0000000000001),
        ("0x1p-149", 1, 0x36A0000000000000),
        ("0x1p-9999999999999999999999", 0, 0),
        ("0x1.p1", 0x40000000, 0x4000000000000000),
        ("0x0.8", 0x3F000000, 0x3FE0000000000000),
        ("1_0.5e0_1", 0x42D20000, 0x405A400000000000),
        # Half-way cases that rounding to double first would get wrong.
        ("16777217.000000000000000000000001", 0x4B800001, 0x4170000010000000),
        ("0x1.00000100000000001p0", 0x3F800001, 0x3FF0000010000000),
        ("340282356779733661637539395458142568447.9", 0x7F7FFFFF, 0x47EFFFFFF0000000),
    ],
)
def test_floats(token: str, single: int, double: int):
    assert float_bits(token, 32) == single
    assert float_bits(token, 64) == double


@pytest.mark.parametrize("token", ["0x1p128", "1e39", "340282356779733661637539395458142568448"])
def test_singles_out_of_range(token: str):
    with pytest.raises(OverflowError):
        float_bits(token, 32)


@pytest.mark.parametrize("token", ["0x1p1024", "1e309", "nan:0x10000000000000", "nan:0x0"])
def test_floats_out_of_range(token: str):
    with pytest.raises(OverflowError):
        float_bits(token, 64)


def _single(bits: int) -> float:
    return struct.unpack("<f", bits.to_bytes(4, "little"))[0]


@given(st.integers(0, 0x7F7FFFFE), st.sampled_from(["", "1", "0" * 30 + "1", "0" * 5000 + "1"]))
def test_singles_round_half_to_even(bits: int, more: str):
    """A decimal in the middle of two singles goes to the even one, anything above it up."""
    middle = (_single(bits) + _single(bits + 1)) / 2
    text = format(Decimal(middle), "f")
    text = f"{text if '.' in text else text + '.0'}{more}"
    assert float_bits(text, 32) == bits + (1 if more else bits & 1)


@given(st.floats(min_value=0, allow_infinity=False))
def test_hexadecimal_floats(value: float):
    """Hexadecimal and decimal literals agree with Python, in both widths."""
    assert float_bits(value.hex(), 64) == int.from_bytes(struct.pack("<d", value), "little")
    assert float_bits(repr(value), 64) == float_bits(value.hex(), 64)
    try:
        expected = int.from_bytes(struct.pack("<f", value), "little")
    except OverflowError:
        with pytest.raises(OverflowError):
            float_bits(value.hex(), 32)
    else:
        assert float_bits(value.hex(), 32) == expected
