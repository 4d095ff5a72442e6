"""Instructions: operands, folding, blocks and labels."""

from __future__ import annotations

import pytest

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.binary.immediates import read_instruction
from asyncwasm.core.isa.table import TABLE, Row
from asyncwasm.core.text import assemble
from asyncwasm.errors import MalformedError
from tests.core.text.check import body, reject, sections

# One of everything that operands may refer to.
_FIELDS = """
    (type $t (struct (field $a i32) (field $b (mut i64))))
    (type $f (func)) (type $arr (array i8))
    (import "" "" (func $g)) (import "" "" (global $gl i32)) (import "" "" (tag $e))
    (import "" "" (table $tab 0 funcref)) (import "" "" (memory $mem 0))
    (elem $el func) (data $da "")
"""
_OPERANDS = {
    "labelidx": "0",
    "labelvec": "0 0 0",
    "funcidx": "$g",
    "typeidx": "$t",
    "tableidx": "$tab",
    "memidx": "$mem",
    "globalidx": "$gl",
    "localidx": "$l",
    "tagidx": "$e",
    "dataidx": "$da",
    "elemidx": "$el",
    "u32": "1",
    "heaptype": "any",
    "castop": "0 anyref (ref i31)",
    "memarg": "$mem offset=3 align=1",
    "lane": "1",
    "lanes16": "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31",
    "s32": "-1",
    "s64": "-0x8000_0000_0000_0000",
    "f32": "1.5",
    "f64": "-nan",
    "v128": "i16x8 0 1 2 3 -4 5 6 7",
    "blocktype": "$l (result i32)",
    "catchvec": "(catch $e 0)",
    "valtypevec": "(result i32)",
    "zero": "",
}
_TEXTS = {
    "select.t": "select (result i32)",
    "ref.test": "ref.test (ref any)",
    "ref.test_null": "ref.test anyref",
    "ref.cast": "ref.cast (ref any)",
    "ref.cast_null": "ref.cast (ref null any)",
    "call_indirect": "call_indirect $tab (type $f)",
    "return_call_indirect": "return_call_indirect $tab (type $f)",
    "table.init": "table.init $tab $el",
    "memory.init": "memory.init $mem $da",
    "else": "if else end",
    "end": "block end",
    "block": "block $l (result i32) end",
    "loop": "loop $l (result i32) end",
    "if": "if $l (result i32) end",
    "try_table": "try_table $l (result i32) (catch $e 0) end",
}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_row_is_assembled(row: Row):
    """Each instruction parses, and decodes to itself with exactly the bytes of its operands."""
    text = _TEXTS.get(row.name) or " ".join([row.name, *(_OPERANDS[k] for k in row.immediates)])
    info = decode_module(assemble(f"(module {_FIELDS} (func (local $l i32) {text}))"))
    (span,) = info.bodies
    rows = []
    pos = span.start + 3
    while pos < span.end:
        found, _, pos = read_instruction(info.data, pos, info.types)
        rows.append(found.name)
    expected = {"else": ["if", "else", "end"], "end": ["block", "end"]}.get(row.name, [row.name])
    if row.name in ("block", "loop", "if", "try_table"):
        expected.append("end")
    assert rows == [*expected, "end"]


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("(i32.add (local.get 0) (i32.const 1))", "local.get 0 i32.const 1 i32.add"),
        ("(drop (i32.eqz (i32.const 2))) nop", "i32.const 2 i32.eqz drop nop"),
        ("(nop)(nop)", "nop nop"),
        ("(block nop (nop))", "block nop nop end"),
        ("(loop $l (br $l))", "loop br 0 end"),
        ("(if (local.get 0) (then nop))", "local.get 0 if nop end"),
        ("local.get 0 (if (then) (else nop))", "local.get 0 if else nop end"),
        (
            "(if $l (result i32) (nop) (local.get 0) (then (br $l)) (else (unreachable)))",
            "nop local.get 0 if (result i32) br 0 else unreachable end",
        ),
        (
            "(block $h (try_table $t (catch_all $h) (br $t)))",
            "block try_table (catch_all 0) br 0 end end",
        ),
        ("(br_if 0 (local.get 0) (i32.const 1))", "local.get 0 i32.const 1 br_if 0"),
        ("(select (result i32) (result) (nop))", "nop select (result i32)"),
        ("i32.load", "i32.load 0 offset=0 align=4"),
        ("i32.load8_u align=1", "i32.load8_u"),
        ("memory.size memory.grow", "memory.size 0 memory.grow 0"),
        ("memory.copy memory.fill", "memory.copy 0 0 memory.fill 0"),
        ("table.get table.set", "table.get 0 table.set 0"),
        ("table.copy", "table.copy 0 0"),
        ("v128.load8_lane 1", "v128.load8_lane 0 offset=0 align=1 1"),
        ("v128.load8_lane offset=2 1", "v128.load8_lane 0 offset=2 1"),
        ("v128.load8_lane align=1 1", "v128.load8_lane 0 1"),
        ("call_indirect", "call_indirect 0 (type 0)"),
        ("call_indirect (result)", "call_indirect 0 (type 0)"),
        ("block (result) end", "block end"),
        ("block (param) (result i32) end", "block (result i32) end"),
        ("block $x end $x", "block end"),
        ("if $x else $x end $x", "if else end"),
        ("ref.null $t", "ref.null 0"),
        (
            "v128.const i32x4 0 -1 4294967295 0x1",
            "v128.const i64x2 0xffffffff_00000000 0x1ffffffff",
        ),
        ("v128.const f32x4 0 1 -inf nan", "v128.const i32x4 0 0x3f800000 0xff800000 0x7fc00000"),
    ],
)
def test_abbreviations(short: str, full: str):
    """Folded instructions and operands left out mean the long form."""
    assert body(short, "(type $t (func))") == body(full, "(type $t (func))")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("call_indirect 1 (type 2)", "11 02 01"),
        ("table.init 1 2", "fc 0c 02 01"),
        ("table.init 2", "fc 0c 02 00"),
        ("memory.init 1 2", "fc 08 02 01"),
        ("memory.copy 1 2", "fc 0a 01 02"),
        ("i64.store 3 offset=128 align=1", "37 40 03 80 01"),
        ("i32.load offset=0xffff_ffff_ffff_ffff", "28 02 ff ff ff ff ff ff ff ff ff 01"),
        ("v128.store64_lane 1 1", "fd 5b 43 01 00 01"),
        ("br_table 0 1 2", "0e 02 00 01 02"),
        ("br_on_cast 1 (ref null any) (ref 70)", "fb 18 01 01 6e c6 00"),
        ("ref.test (ref null i31)", "fb 15 6c"),
        ("i64.const -1 i32.const 0xffffffff", "42 7f 41 7f"),
        ("atomic.fence", "fe 03 00"),
        ("block (result (ref null 64)) end", "02 63 c0 00 0b"),
        ("struct.get 300 2", "fb 02 ac 02 02"),
        ("block (type 64) end", "02 c0 00 0b"),
    ],
)
def test_encodings(text: str, code: str):
    assert body(text) == bytes.fromhex(code)


def test_labels_are_found_from_the_inside():
    """An inner label hides an outer one of the same name until its block ends."""
    text = "block $a block $b block $a br $a br $b end br $a end br $a end"
    assert body(text) == bytes.fromhex("02 40 02 40 02 40 0c 00 0c 01 0b 0c 01 0b 0c 00 0b")


def test_a_condition_is_outside_of_its_if():
    assert body("(block $l (if $l (br_if $l) (then (br $l))))") == bytes.fromhex(
        "02 40 0d 00 04 40 0c 00 0b 0b"
    )


def test_catches_are_outside_of_their_block():
    text = '(import "" "" (tag $e))'
    code = body("block $a (try_table $b (catch_all_ref $a) (catch $e $a) (br $b)) end", text)
    assert code == bytes.fromhex("02 40 1f 40 02 03 00 00 00 00 0c 00 0b 0b")


def test_locals():
    """Parameters come first, neighbours of one type share a declaration, names may be mixed."""
    code = sections(
        assemble(
            "(module (func (param i32 i32) (param $p i64) (local i32) (local $a i32)"
            " (local f64 i64) (local $b i64) local.get $p local.get $a local.set $b))"
        )
    )[10]
    expected = "01 0f 03 02 7f 01 7c 02 7e 20 02 20 04 21 07 0b"
    assert code[2:] == bytes.fromhex(expected)[2:]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(func foo)", "unknown operator `foo`"),
        ("(func get_local 0)", "unknown operator `get_local`"),
        ("(func (param))) ", "unexpected token `)`"),
        ("(func (local i32) (param i32))", "unexpected token `param`"),
        ("(func (result i32) (param i32))", "unexpected token `param`"),
        ("(func nop (param i32))", "unexpected token `param`"),
        ("(func (nop nop))", "unexpected token `nop`"),
        ("(func (block) end)", "unexpected token `end`"),
        ("(func block)", "unexpected token `)`"),
        ("(func else)", "unexpected token `else`"),
        ("(func if else else end)", "unexpected token `else`"),
        ("(func (if nop (then)))", "unexpected token `nop`"),
        ("(func (if))", "unexpected token `)`"),
        ("(func (if (then) (nop)))", "unexpected token `nop`"),
        ("(func (if (then) (else) (else)))", "unexpected token `else`"),
        ("(func (then))", "unexpected token `then`"),
        ("(func block $a end $b)", "mismatching label"),
        ("(func block end $b)", "mismatching label"),
        ("(func if $a else $b end)", "mismatching label"),
        ("(func br $x)", "unknown label `$x`"),
        ("(func (block $x) br $x)", "unknown label `$x`"),
        ("(func local.get $x)", "unknown local `$x`"),
        ("(func call $x)", "unknown func `$x`"),
        ("(func global.get $x)", "unknown global `$x`"),
        ("(func throw $x)", "unknown tag `$x`"),
        ("(func i32.load $x)", "unknown memory `$x`"),
        ("(func table.get $x)", "unknown table `$x`"),
        ("(func elem.drop $x)", "unknown elem `$x`"),
        ("(func data.drop $x)", "unknown data `$x`"),
        ("(func ref.null $x)", "unknown type `$x`"),
        ("(type $s (struct)) (func struct.get $s $x)", "unknown field `$x`"),
        ("(func struct.get 9 $x)", "unknown field `$x`"),
        ("(func br -1)", "unexpected token `-1`"),
        ("(func br 4294967296)", "i32 constant out of range"),
        ("(func i32.const 4294967296)", "constant out of range"),
        ("(func i32.const 1.0)", "unexpected token `1.0`"),
        ("(func i32.const $x)", "unexpected token `$x`"),
        ("(func i32.const nan)", "unexpected token `nan`"),
        ("(func f32.const nan:canonical)", "unexpected token `nan:canonical`"),
        ("(func f32.const 1e39)", "constant out of range"),
        ("(func i32.load align=3)", "alignment must be a power of two"),
        ("(func i32.load align=0)", "alignment must be a power of two"),
        ("(func i32.load offset=18446744073709551616)", "i64 constant out of range"),
        ("(func i32.load align=1 offset=1)", "unexpected token `offset=1`"),
        ("(func i32.load offset=x)", "unknown operator `offset=x`"),
        ("(func i8x16.extract_lane_s)", "unexpected token `)`"),
        ("(func i8x16.extract_lane_s 256)", "i8 constant out of range"),
        ("(func i8x16.shuffle 0 1)", "invalid lane length"),
        ("(func i8x16.shuffle" + " 0" * 15 + " -1)", "i8 constant out of range"),
        ("(func v128.const i32x4 0 0 0)", "wrong number of lane literals"),
        ("(func v128.const i8x16" + " 256" * 16 + ")", "constant out of range"),
        ("(func v128.const i32x3 0 0 0)", "unknown operator `i32x3`"),
        ("(func v128.const 0 0 0)", "unexpected token `0`"),
        ("(func table.copy 0)", "unexpected token `)`"),
        ("(func memory.copy $x)", "unknown memory `$x`"),
        ("(func block (param $x i32) end)", "unexpected token `$x`"),
        ("(func ref.test_null any)", "unknown operator `ref.test_null`"),
        ("(func select.t)", "unknown operator `select.t`"),
        ("(func br_table)", "unexpected token `)`"),
        ("(func try_table (catch_all) end)", "unexpected token `)`"),
        ("(func try nop end)", "legacy exception handling is not supported (`try`)"),
        ("(func (rethrow 0))", "legacy exception handling is not supported (`rethrow`)"),
        ("(func", "unexpected end of text"),
        ("(func)(", "unexpected end of text"),
        ("(func i32.const", "unexpected end of text"),
    ],
)
def test_errors(text: str, message: str):
    reject(text, message)


def test_errors_have_a_place():
    error = reject('(module\n  (func "x"))', "unexpected token")
    assert (error.line, error.column) == (2, 9)


def test_nesting_is_not_limited_by_the_stack():
    """Blocks and operands may nest deeper than Python's recursion would go."""
    deep = 20_000
    assert len(body("(block " * deep + ")" * deep)) == 3 * deep
    assert len(body("(i32.eqz " * deep + "(i32.const 0)" + ")" * deep)) == deep + 2
    assert len(body("block " * deep + "end " * deep)) == 3 * deep
    for opening in ("(", "(func (block ", "(func (if (then ", "(@a (", "(;", "(func block "):
        with pytest.raises(MalformedError):
            assemble(opening * 100_000)
