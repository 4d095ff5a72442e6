"""Numbers and names of the binary format."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncwasm.core.binary.leb128 import (
    read_name,
    read_signed,
    read_u32,
    read_unsigned,
    write_name,
    write_signed,
    write_unsigned,
)
from asyncwasm.errors import MalformedError

UNSIGNED = [32, 64]
SIGNED = [32, 33, 64]


@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_unsigned_numbers_come_back(value: int, rest: bytes):
    data = write_unsigned(value)
    assert read_unsigned(data + rest, 0, 64) == (value, len(data))
    if value < 2**32:
        assert read_u32(data + rest, 0) == (value, len(data))


@given(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=3))
def test_signed_numbers_come_back(value: int, rest: bytes):
    data = write_signed(value)
    assert read_signed(data + rest, 0, 64) == (value, len(data))


@given(st.text())
def test_names_come_back(text: str):
    data = write_name(text)
    assert read_name(data, 0, len(data)) == (text, len(data))


@pytest.mark.parametrize("bits", UNSIGNED)
def test_unsigned_limits(bits: int):
    size = -(-bits // 7)
    last = (1 << bits) - 1
    assert read_unsigned(write_unsigned(last), 0, bits) == (last, size)
    with pytest.raises(MalformedError, match="integer too large"):
        read_unsigned(write_unsigned(last + 1), 0, bits)
    # Zeros may fill the number up to its greatest size, and no further.
    assert read_unsigned(b"\x80" * (size - 1) + b"\0", 0, bits) == (0, size)
    with pytest.raises(MalformedError, match="integer representation too long"):
        read_unsigned(b"\x80" * size + b"\0", 0, bits)


@pytest.mark.parametrize("bits", SIGNED)
def test_signed_limits(bits: int):
    size = -(-bits // 7)
    last = (1 << bits - 1) - 1
    for value in (last, -last - 1):
        assert read_signed(write_signed(value), 0, bits)[0] == value
    for value in (last + 1, -last - 2):
        padded = bytearray(write_signed(value))
        if len(padded) <= size:
            with pytest.raises(MalformedError, match="integer too large"):
                read_signed(bytes(padded), 0, bits)
    assert read_signed(b"\xff" * (size - 1) + b"\x7f", 0, bits) == (-1, size)
    with pytest.raises(MalformedError, match="integer representation too long"):
        read_signed(b"\xff" * size + b"\x7f", 0, bits)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\x80"])
def test_the_end_of_the_bytes(data: bytes):
    for read in (
        lambda: read_u32(data, 0),
        lambda: read_unsigned(data, 0, 64),
        lambda: read_signed(data, 0, 32),
    ):
        with pytest.raises(MalformedError, match="unexpected end"):
            read()


def test_a_name_may_not_pass_its_end():
    with pytest.raises(MalformedError, match="length out of bounds"):
        read_name(b"\x03abc", 0, 3)
