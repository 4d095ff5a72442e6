"""The printer: text that assembles to the same module."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.text import assemble
from asyncwasm.core.text.lexer import Source, string_bytes
from asyncwasm.core.text.numbers import float_bits
from asyncwasm.core.text.printer import print_module
from asyncwasm.core.text.printer_literals import (
    bytes_literal,
    f32_literal,
    f64_literal,
    name_literal,
)
from asyncwasm.errors import MalformedError, ResourceLimitError

# Modules in the printer's own form, each with things that are easy to get wrong.
CANONICAL = {
    "empty": "(module)\n",
    "named": "(module $m)\n",
    "unnameable": '(module (@name "")\n  (type (;0;) (func))\n)\n',
    "types": """\
(module
  (type $f (;0;) (func (param i32 i64) (result f32 f64)))
  (type (;1;) (sub (struct (field $x i32) (field (mut i8) (mut (ref null 1))))))
  (rec
    (type $a (;2;) (sub 1 (struct (field i32 (mut i8) (mut (ref null 1)) (ref $b)))))
    (type $b (;3;) (array (mut anyref))))
  (type (;4;) (func (param i32 i64) (result f32 f64)))
)
""",
    "imports": """\
(module
  (type (;0;) (func (param i32)))
  (type (;1;) (func (param i32)))
  (import "m" "f" (func $f (;0;) (type 1) (param i32)))
  (import "m" "t" (table (;0;) i64 1 2 (ref null 1)))
  (import "m" "me\\"m" (memory (;0;) 1 2 shared))
  (import "m" "\\u{7f}" (memory (;1;) i64 1 (pagesize 1)))
  (import "λ" "g" (global (;0;) (mut externref)))
  (import "" "e" (tag (;0;) (type 1) (param i32)))
)
""",
    "segments": """\
(module
  (type (;0;) (func))
  (table (;0;) 1 2 funcref)
  (table $t (;1;) 1 funcref (ref.func 0))
  (memory (;0;) 1)
  (memory (;1;) 1)
  (global $g (;0;) i32 (i32.const 1))
  (global (;1;) (mut i32) i32.const 1 global.get $g i32.add)
  (export "f" (func 0))
  (export "m" (memory 1))
  (start 0)
  (elem (;0;) (i32.const 0) func 0)
  (elem (;1;) func 0 0)
  (elem (;2;) (table $t) (offset i32.const 0 i32.const 0 i32.add) func 0)
  (elem (;3;) declare func 0)
  (elem (;4;) (i32.const 0) funcref (ref.func 0) (ref.null func))
  (elem $e (;5;) (ref 0) (ref.func 0))
  (elem (;6;) (table $t) (i32.const 0) funcref (ref.null func))
  (elem (;7;) declare funcref)
  (func (;0;) (type 0))
  (data (;0;) (i32.const 0) "a\\00\\"\\\\\\ff")
  (data $d (;1;) "")
  (data (;2;) (memory 1) (global.get $g) "x")
)
""",
    "code": """\
(module
  (type (;0;) (func (param i32) (result i32)))
  (type $s (;1;) (struct (field $x i8)))
  (type (;2;) (func))
  (table (;0;) 1 funcref)
  (memory (;0;) 1)
  (memory $m (;1;) 1)
  (tag $e (;0;) (type 2))
  (func $f (;0;) (type 0) (param $x i32) (result i32)
    (local i32 i64)
    (local $y f32)
    block $l (result i32)
      block $l (type 2)
        br 1
        br $l
      end
      loop (result i32)
        local.get $x
        if
          nop
        else
          br_table 1 $l 0
        end
        i32.const -1
      end
    end
    try_table (type 0) (param i32) (result i32) (catch $e 0) (catch_all_ref 0)
    end
    call_indirect (type 0)
    i32.load offset=4 align=1
    i32.load $m
    v128.load8_lane $m 3
    v128.const i32x4 0x00000001 0x00000002 0x00000003 0xffffffff
    i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31
    select (result i32)
    select
    f32.const 0.1
    f32.const -nan:0x1
    f64.const nan
    f64.const 1e-300
    f64.const -inf
    ref.test (ref null any)
    ref.cast (ref $s)
    br_on_cast 0 (ref null any) (ref i31)
    struct.get_u $s $x
    memory.copy 0 $m
    memory.fill
    memory.size $m
    table.get 0
    table.copy 0 0
    i32.atomic.rmw.add
    atomic.fence
  )
)
""",
    "customs": """\
(module
  (@custom "first" (before first) "x")
  (type (;0;) (func))
  (@custom "a\\u{0}b" (after type) "\\00\\ff")
  (@custom "a" (after type) "")
  (memory (;0;) 1)
  (@custom "long" (after memory)
    "012345678901234567890123456789012345678901234567"
    "89")
)
""",
    "annotated names": """\
(module $m
  (type (@name "f") (;0;) (func (param i32)))
  (type (@name "f") (;1;) (func))
  (type $"a b" (;2;) (struct (field (@name "x") i32) (field (@name "x") i32)))
  (func (@name "g") (;0;) (type 0) (param (@name "p") i32)
    (local (@name "p") i32)
    local.get 1
    block (@name "")
      br 0
    end
  )
  (func (@name "g") (;1;) (type 1))
)
""",
}


@pytest.mark.parametrize("name", CANONICAL)
def test_prints_what_it_was_given(name: str) -> None:
    text = CANONICAL[name]
    binary = assemble(text)
    printed = print_module(binary)
    assert assemble(printed) == binary
    assert printed == text


def test_names_can_be_left_out() -> None:
    text = (
        '(module $m (func $f (param $x i32) (local.set $x (i32.const 1))) (export "f" (func $f)))'
    )
    printed = print_module(assemble(text), names=False)
    assert "$" not in printed
    # The section that the names come from stays.
    assert assemble(printed) == assemble(text)


def custom(name: bytes, content: bytes) -> bytes:
    body = bytes([len(name)]) + name + content
    return b"\0" + bytes([len(body)]) + body


HEADER = b"\0asm\1\0\0\0"
FUNC = b"\1\4\1\x60\0\0\3\2\1\0\x0a\4\1\2\0\x0b"


@pytest.mark.parametrize(
    "binary",
    [
        # An index that names nothing, a name given twice, trailing bytes, unknown subsections,
        # subsections out of order, a truncated section, one in the middle, and two of them.
        HEADER + FUNC + custom(b"name", b"\1\4\1\7\1f"),
        HEADER + FUNC + custom(b"name", b"\1\7\2\0\1f\0\1g"),
        HEADER + FUNC + custom(b"name", b"\1\5\1\0\1f\0"),
        HEADER + FUNC + custom(b"name", b"\x63\1\0\1\4\1\0\1f"),
        HEADER + FUNC + custom(b"name", b"\1\4\1\0\1f\0\2\1m"),
        HEADER + FUNC + custom(b"name", b"\1\4\1\0\2f"),
        HEADER + custom(b"name", b"\1\4\1\0\1f") + FUNC,
        HEADER + FUNC + custom(b"name", b"\1\4\1\0\1f") + custom(b"name", b"\0\2\1m"),
        HEADER + FUNC + custom(b"name", b"\1\4\1\0\1f") + custom(b"other", b""),
        HEADER + FUNC + custom(b"name", b"\2\6\1\0\1\3\1x"),
        HEADER + FUNC + custom(b"name", b"\3\6\1\0\1\0\1x"),
        HEADER + FUNC + custom(b"name", b"\x0a\6\1\0\1\0\1x"),
    ],
)
def test_odd_name_sections_are_kept(binary: bytes) -> None:
    assert assemble(print_module(binary)) == binary


def test_long_encodings_become_short_ones() -> None:
    """A binary that is not as short as possible is the same module after printing."""
    binary = HEADER + b"\1\x84\0\1\x60\0\0\3\2\1\0\x0a\6\1\4\0\1\1\x0b"
    shortest = assemble(print_module(binary))
    assert len(shortest) < len(binary)
    assert print_module(shortest) == print_module(binary)
    assert decode_module(shortest).funcs == decode_module(binary).funcs


def test_invalid_modules_are_printed() -> None:
    binary = HEADER + b"\1\4\1\x60\0\0\3\2\1\0\x0a\6\1\4\0\x10\x63\x0b"
    assert "call 99" in print_module(binary)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\0\xff\x0b", "illegal opcode"),
        (b"\0\5\x0b", "else"),
        (b"\0\x0b\x0b", "end"),
        (b"\0\2\x40\x0b", "end"),
        (b"\0\x41", "unexpected end"),
        (b"\0\2\x60\x0b\x0b", "malformed block type"),
        (b"\0\xd0\x60\x0b", "malformed heap type"),
    ],
)
def test_malformed_bodies_are_refused(body: bytes, message: str) -> None:
    code = bytes([1, len(body)]) + body
    binary = HEADER + b"\1\4\1\x60\0\0\3\2\1\0\x0a" + bytes([len(code)]) + code
    with pytest.raises(MalformedError, match=message):
        print_module(binary)


def test_bodies_cannot_make_the_text_explode() -> None:
    """A few bytes that declare billions of locals, and blocks nested deeply."""
    body = b"\1\xff\xff\xff\xff\x0f\x7f\x0b"
    code = bytes([1, len(body)]) + body
    binary = HEADER + b"\1\4\1\x60\0\0\3\2\1\0\x0a" + bytes([len(code)]) + code
    with pytest.raises(ResourceLimitError):
        print_module(binary)
    depth = 5_000
    nested = assemble(f"(module (func {'block ' * depth}{'end ' * depth}))")
    assert len(print_module(nested)) < 100 * 2 * depth


def test_a_group_of_one_type_is_a_type() -> None:
    alone = assemble("(module (type (func)))")
    assert print_module(HEADER + b"\1\6\1\x4e\1\x60\0\0") == print_module(alone)


BITS32 = [0, 1, 0x7F7FFFFF, 0x00800000, 0x007FFFFF, 0x3DCCCCCD, 0x7F800000, 0x7FC00000, 0x7F800001]
BITS64 = [0, 1, 0x7FEFFFFFFFFFFFFF, 0x0010000000000000, 0x7FF0000000000000, 0x7FF8000000000000]


@given(st.integers(0, 2**32 - 1) | st.sampled_from([b | s << 31 for b in BITS32 for s in (0, 1)]))
def test_singles_are_printed_exactly(bits: int) -> None:
    assert float_bits(f32_literal(bits), 32) == bits


@given(st.integers(0, 2**64 - 1) | st.sampled_from([b | s << 63 for b in BITS64 for s in (0, 1)]))
def test_doubles_are_printed_exactly(bits: int) -> None:
    assert float_bits(f64_literal(bits), 64) == bits


def test_floats_are_printed_short() -> None:
    assert [f32_literal(b) for b in (0x3DCCCCCD, 0x3F800000, 0x80000000)] == ["0.1", "1", "-0"]
    assert f32_literal(1) == "1e-45"


@given(st.text())
def test_names_are_printed_exactly(name: str) -> None:
    assert string_bytes(Source(name_literal(name)).tokens[0]) == name.encode()


@given(st.binary())
def test_bytes_are_printed_exactly(content: bytes) -> None:
    assert string_bytes(Source(bytes_literal(content)).tokens[0]) == content
