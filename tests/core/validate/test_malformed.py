"""Function bodies that the binary format does not allow, and limits of the implementation."""

from __future__ import annotations

import time

import pytest

from asyncwasm.core.binary import limits
from asyncwasm.errors import MalformedError, ResourceLimitError, ValidationError
from tests.core.binary import build as b
from tests.core.validate.check import accept, reject


def raw_body(content: bytes) -> bytes:
    """A module of one function whose body is `content`, `end` or not."""
    return b.module(
        b.section(b.TYPE, b.func_type()),
        b.section(b.FUNC, b"\0"),
        b.section(b.CODE, b.sized(content)),
    )


MALFORMED = [
    (b"", "unexpected end"),
    (b"\0", "unexpected end"),
    (b"\x01", "unexpected end"),
    (b"\x01\x01", "unexpected end"),
    (b"\x01\x01\x40\x0b", "malformed value type"),
    (b"\0\x01", "unexpected end"),
    (b"\0\x02\x40\x0b", "unexpected end"),
    (b"\0\x0b\x0b", "junk after the end of the function"),
    (b"\0\x0b\x00", "junk after the end of the function"),
    (b"\0\x05\x0b", "else without a matching if"),
    (b"\0\x41\0\x04\x40\x05\x05\x0b\x0b", "else without a matching if"),
    (b"\0\x06\x0b", "illegal opcode 06"),
    (b"\0\xff\x0b", "illegal opcode ff"),
    (b"\0\xfc\x7f\x0b", "illegal opcode fc 7f"),
    (b"\0\xfd\x80\x80\x04\x0b", "illegal opcode fd 80 80 04"),
    (b"\0\xfd\x80\x80\x80\x80\x10\x0b", "integer too large"),
    (b"\0\x41\x80\x80\x80\x80\x08\x1a\x0b", "integer too large"),
    (b"\0\x41\x80\x80\x80\x80\x80\0\x1a\x0b", "integer representation too long"),
    (b"\0\x42\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x1a\x0b", "integer too large"),
    (b"\0\x10\x80\x80\x80\x80\x10\x0b", "integer too large"),
    (b"\0\x41\0\x28\x80\x01\0\x1a\x0b", "malformed memop flags"),
    (b"\0\x44\0\0\0\0", "unexpected end"),
    (b"\0\x02\x7a\x0b\x0b", "malformed block type"),
    (b"\0\xd0\x78\x1a\x0b", "malformed heap type"),
    (b"\0\xfe\x03\x01\x0b", "zero byte expected"),
    (b"\0\x1f\x40\x01\x04\0\x0b\x0b", "malformed catch clause"),
    (b"\0\xfb\x18\x04\0\x6e\x6e\x0b", "malformed br_on_cast flags"),
    (b"\x01\x80\x80\x80\x80\x10\x7f\x0b", "integer too large"),
    (b"\x02\xff\xff\xff\xff\x0f\x7f\x01\x7e\x0b", "too many locals"),
]


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_malformed_bodies(content: bytes, message: str):
    data = raw_body(content)
    error = reject(data, message, error=MalformedError)
    assert isinstance(error, MalformedError)
    assert error.offset is not None
    assert error.offset >= len(data) - len(content)


def test_what_is_malformed_is_not_said_to_be_invalid():
    """The bytes are wrong after the first thing that validation finds."""
    reject(raw_body(b"\0\x1a\x0b"), "nothing on the stack", error=ValidationError)
    reject(raw_body(b"\0\x1a\xff\x0b"), "illegal opcode ff", error=MalformedError)
    reject(raw_body(b"\0\x1a"), "unexpected end", error=MalformedError)


def test_data_segments_must_be_counted_first():
    code = b"\xfc\x09\0"
    data = b.section(b.DATA, b"\x01\0")
    reject(b.function(code, after=data), "data count section required", error=MalformedError)
    accept(b.function(code, before=b.raw_section(b.DATA_COUNT, b"\x01"), after=data))
    counted = b.function(b"\xfc\x09\x01", before=b.raw_section(b.DATA_COUNT, b"\x01"), after=data)
    reject(counted, "unknown data segment 1")


def too_much(data: bytes, what: str) -> None:
    reject(data, f"{what}.* exceed", error=ResourceLimitError)


def test_the_number_of_locals_is_limited():
    accept(b.function(b"", [b.I32], locals=[b.u(limits.MAX_LOCALS - 1) + b"\x7f"]))
    too_much(b.function(b"", [b.I32], locals=[b.u(limits.MAX_LOCALS) + b"\x7f"]), "locals of")
    too_much(b.function(b"", locals=[b.u(0xFFFF_FFFF) + b"\x7f"]), "locals")


def test_the_depth_of_blocks_is_limited():
    depth = limits.MAX_NESTING
    accept(b.function(b"\x02\x40" * depth + b"\x0b" * depth))
    for opener in (b"\x02\x40", b"\x03\x40", b"\x41\0\x04\x40", b"\x1f\x40\0"):
        too_much(b.function(opener * (depth + 1) + b"\x0b" * (depth + 1)), "nested blocks")


def test_the_number_of_operands_is_limited():
    data = b.module(
        b.section(b.TYPE, b.func_type(), b.func_type([], [b.I32] * 1000)),
        b.section(b.FUNC, b"\0", b"\x01"),
        b.section(b.CODE, b.body(b"\x10\x01" * 10_000), b.body(b"\0")),
    )
    too_much(data, "operands on the stack")


def test_the_operands_of_array_new_fixed_are_limited():
    array = b.section(b.TYPE, b.func_type(), b"\x5e\x7f\0")
    for count, accepted in ((10_000, True), (10_001, False)):
        code = b"\0\xfb\x08\x01" + b.u(count) + b"\x1a"
        data = b.module(array, b.section(b.FUNC, b"\0"), b.section(b.CODE, b.body(code)))
        if accepted:
            accept(data)
        else:
            too_much(data, "operands of array.new_fixed")


@pytest.mark.slow
def test_code_cannot_ask_for_much_work():
    """Few bytes with a thousand operands each, a thousand labels or ten thousand fields.

    The limit is generous; without care any of these takes minutes.
    """
    many = [b.I32] * 1000
    types = b.section(
        b.TYPE,
        b.func_type(),
        b.func_type([], many),
        b.func_type(many),
        b.func_type(many, many),
        b"\x5f" + b.vec(*[b"\x7f\0"] * 10_000),
        b"\x60" + b.vec() + b.vec(*[b"\x6b"] * 1000),
        b"\x60" + b.vec(*[b"\x6e"] * 1000) + b.vec(),
    )
    labels = b.u(2000) + b"\0" * 2001
    codes = [
        b"\x10\x01\x10\x02" * 1000,
        b"\x10\x01" + b"\x02\x03\x0b" * 1000 + b"\x10\x02",
        b"\0" + b"\x02\x03\x0b" * 1000 + b"\x10\x02",
        b"\0" + b"\xfb\x01\x04\x1a" * 1000,
        b"\0" + b"\xfb\0\x04\x1a" * 1000,
        b"\x02\x01" + b"\0\x0e" + labels + b"\x0b\x10\x02",
        b"\x10\x03\x10\x04" * 1000,
    ]
    started = time.process_time()
    for code in codes:
        accept(
            b.module(
                types,
                b.section(b.FUNC, b"\0", b"\x01", b"\x02", b"\x05", b"\x06"),
                b.section(b.CODE, b.body(code), *[b.body(b"\0")] * 4),
            )
        )
    assert time.process_time() - started < 10
