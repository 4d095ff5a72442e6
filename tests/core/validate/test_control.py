"""Rules of blocks, branches, calls, exceptions and locals."""

from __future__ import annotations

import pytest

from tests.core.binary import build as b
from tests.core.validate.check import accept, reject

# Function bodies; the module around them has these.
PREAMBLE = """
  (type $void (func))
  (type $unary (func (param i32) (result i32)))
  (type $pair (func (result i32 i64)))
  (table $t 1 funcref) (table $t64 i64 1 funcref) (table $any 1 anyref)
  (tag $none) (tag $one (param i32))
  (func $callee (type $unary) (local.get 0))
  (elem declare func $callee)
"""

VALID = [
    "(block) (loop) (if (i32.const 1) (then))",
    "(drop (block (result i32) (i32.const 1)))",
    "(drop (if (result i32) (i32.const 1) (then (i32.const 2)) (else (i32.const 3))))",
    "(block (type $pair) (i32.const 1) (i64.const 2)) (drop) (drop)",
    "(i32.const 1) (block (param i32) (result i32)) (drop)",
    "(i32.const 1) (if (param i32) (result i32) (i32.const 0) (then)) (drop)",
    "(i32.const 1) (loop (param i32) (br 0))",
    "(block (result i32) (br 0 (i32.const 1))) (drop)",
    "(block (result i32) (br_if 0 (i32.const 1) (i32.const 0))) (drop)",
    "(block (block (br_table 0 1 0 (i32.const 0))))",
    "(block (result i32) (br_table 0 0 (i32.const 1) (i32.const 0))) (drop)",
    "(unreachable) (i32.add) (drop)",
    "(unreachable) (i64.const 1) (i32.const 1) (select) (i64.eqz) (drop)",
    "(unreachable) (select) (drop)",
    "(block (unreachable) (br_table 0 1 (i32.const 0)))",
    "(block (result i32) (unreachable) (br_if 0)) (drop)",
    "(return) (f32.neg) (drop)",
    "(loop (br 0) (i32.eqz) (drop))",
    "(drop (call $callee (i32.const 1)))",
    "(drop (call_indirect $t (type $unary) (i32.const 1) (i32.const 0)))",
    "(drop (call_indirect $t64 (type $unary) (i32.const 1) (i64.const 0)))",
    "(drop (call_ref $unary (i32.const 1) (ref.func $callee)))",
    "(block (result (ref func)) (br_on_non_null 0 (ref.null func)) (unreachable)) (drop)",
    "(block (drop (br_on_null 0 (ref.null func))))",
    "(block (result i32) (i32.const 1) (br_on_null 0 (ref.null func)) (drop)) (drop)",
    "(throw $one (i32.const 1)) (i32.eqz) (drop)",
    "(throw_ref (ref.null exn)) (i32.eqz) (drop)",
    "(block (try_table (catch $none 0)))",
    "(block (result i32) (try_table (catch $one 0)) (i32.const 1)) (drop)",
    "(block (result i32 exnref) (try_table (catch_ref $one 0)) (unreachable)) (drop) (drop)",
    "(block (result (ref exn)) (try_table (catch_all_ref 0)) (unreachable)) (drop)",
    "(block (try_table (catch_all 0)))",
    "(drop (try_table (result i32) (i32.const 1)))",
]


@pytest.mark.parametrize("code", VALID)
def test_valid_code(code: str):
    accept(f"(module {PREAMBLE} (func {code}))")


INVALID = [
    ("(i32.const 1)", "type mismatch: values remain on the stack"),
    ("(drop)", "type mismatch: expected an operand but nothing on the stack"),
    ("(i32.add (i32.const 1))", "nothing on the stack"),
    ("(i32.const 1) (block (drop))", "nothing on the stack"),
    ("(block (i32.const 1))", "values remain"),
    ("(drop (block (result i32)))", "nothing on the stack"),
    ("(drop (block (result i32) (i64.const 1)))", "expected i32, found i64"),
    ("(drop (if (result i32) (i32.const 1) (then (i32.const 2))))", "type mismatch"),
    ("(if (i64.const 1) (then))", "expected i32, found i64"),
    ("(if (i32.const 1) (then (i32.const 1)) (else))", "values remain"),
    ("(if (i32.const 1) (then) (else (i32.const 1)))", "values remain"),
    ("(br 1)", "unknown label 1"),
    ("(br_if 1 (i32.const 0))", "unknown label 1"),
    ("(br_table 0 1 (i32.const 0))", "unknown label 1"),
    ("(block (result i32) (br 0))", "nothing on the stack"),
    ("(block (result i32) (br_if 0 (i64.const 1) (i32.const 0)))", "expected i32, found i64"),
    ("(br_if 0 (i64.const 0))", "expected i32, found i64"),
    ("(block (result i32) (block (br_table 0 1 (i32.const 0))) (i32.const 1))", "type mismatch"),
    (
        "(block (result i32) (block (result i64) (br_table 0 1 (i64.const 1) (i32.const 0)))"
        "(drop) (i32.const 0)) (drop)",
        "expected i32, found i64",
    ),
    ("(unreachable) (i64.const 1) (i32.eqz) (drop)", "expected i32, found i64"),
    ("(unreachable) (i32.const 1)", "values remain"),
    ("(unreachable) (select (result i32 i32))", "invalid result arity"),
    ("(unreachable) (ref.as_non_null) (i32.eqz) (drop)", "expected i32, found \\(ref bottom\\)"),
    ("(select (i32.const 1) (i64.const 1) (i32.const 1)) (drop)", "type mismatch: select"),
    ("(select (ref.null func) (ref.null func) (i32.const 1)) (drop)", "must give their type"),
    ("(call 99)", "unknown function 99"),
    ("(call $callee)", "nothing on the stack"),
    ("(drop (call $callee (i64.const 1)))", "expected i32, found i64"),
    ("(call_indirect $any (type $void) (i32.const 0))", "does not hold functions"),
    ("(call_indirect 9 (type $void) (i32.const 0))", "unknown table 9"),
    ("(call_indirect $t64 (type $void) (i32.const 0))", "expected i64, found i32"),
    ("(call_ref $void (ref.func $callee))", "type mismatch: expected \\(ref null 0\\)"),
    ("(return_call $callee (i32.const 1))", "type mismatch: expected 0 values, found 1"),
    ("(throw 9)", "unknown tag 9"),
    ("(throw $one)", "nothing on the stack"),
    ("(throw_ref (ref.null func))", "expected exnref"),
    ("(block (try_table (catch $one 0)))", "type mismatch: expected 0 values, found 1"),
    ("(block (result i64) (try_table (catch $one 0)) (unreachable)) (drop)", "expected i64"),
    ("(try_table (catch 9 0))", "unknown tag 9"),
    ("(try_table (catch $none 1))", "unknown label 1"),
    ("(br_on_null 0 (i32.const 1)) (drop)", "expected a reference, found i32"),
    ("(br_on_non_null 0 (ref.null func))", "the label does not take a reference"),
    ("(local.get 0) (drop)", "unknown local 0"),
    ("(local.set 0 (i32.const 0))", "unknown local 0"),
    ("(local i64) (local.set 0 (i32.const 0))", "expected i64, found i32"),
    ("(local i64) (drop (local.tee 0 (i32.const 0)))", "expected i64, found i32"),
    ("(global.get 0) (drop)", "unknown global 0"),
]


@pytest.mark.parametrize(("code", "message"), INVALID)
def test_invalid_code(code: str, message: str):
    reject(f"(module {PREAMBLE} (func {code}))", message)


def test_tail_calls_give_what_the_function_does():
    accept(f"(module {PREAMBLE} (func (result i32) (return_call $callee (i32.const 1))))")
    accept(f"""(module {PREAMBLE}
      (func (result i32) (return_call_indirect (type $unary) (i32.const 1) (i32.const 0)))
      (func (result i32) (return_call_ref $unary (i32.const 1) (ref.func $callee)))
      (func $void (return_call_indirect (type $void) (i32.const 0)) (i32.eqz) (drop)))""")
    reject(
        f"(module {PREAMBLE} (func (result i64) (return_call $callee (i32.const 1))))",
        "expected i64, found i32",
    )


def test_references_are_covariant():
    accept("""(module (type $s (struct))
      (func (result anyref) (block (result eqref) (br 0 (struct.new $s))))
      (func $takes (param anyref)) (func (call $takes (ref.i31 (i32.const 1)))))""")
    reject("(module (func (param anyref) (result eqref) (local.get 0)))", "expected eqref")


UNINITIALISED = [
    ("(drop (local.get $x))", "uninitialized local 0"),
    ("(block (local.set $x (ref.func $f))) (drop (local.get $x))", "uninitialized local 0"),
    (
        "(if (i32.const 1) (then (local.set $x (ref.func $f))) (else (drop (local.get $x))))",
        "uninitialized local 0",
    ),
    (
        "(if (i32.const 1) (then (local.set $x (ref.func $f)))"
        " (else (local.set $x (ref.func $f)))) (drop (local.get $x))",
        "uninitialized local 0",
    ),
    ("(unreachable) (drop (local.get $x))", "uninitialized local 0"),
    ("(local.set $x (ref.func $f)) (drop (local.get $x))", None),
    ("(drop (local.tee $x (ref.func $f))) (drop (local.get $x))", None),
    ("(local.set $x (ref.func $f)) (block (drop (local.get $x))) (drop (local.get $x))", None),
    ("(block (local.set $x (ref.func $f)) (drop (local.get $x)))", None),
    ("(loop (local.set $x (ref.func $f)) (block) (drop (local.get $x)))", None),
]


@pytest.mark.parametrize(("code", "message"), UNINITIALISED)
def test_locals_without_a_default_are_set_first(code: str, message: str | None):
    text = f'(module (func $f (export "f") (local $x (ref func)) {code}))'
    if message is None:
        accept(text)
    else:
        reject(text, message)


def test_parameters_are_initialised():
    accept("(module (func (param (ref func)) (drop (local.get 0))))")


def test_local_indices_of_any_length():
    for index in (0, 127, 128, 255, 300):
        code = b"\x20" + b.u(index) + b"\x21" + b.u(index) + b"\x20" + b.u(index)
        code += b"\x22" + b.u(index) + b"\x1a"
        accept(b.function(code, locals=[b.u(index + 1) + b"\x7f"]))
        reject(b.function(code, locals=[b.u(index) + b"\x7f"]), f"unknown local {index}")


def test_indices_may_be_padded():
    """Linkers leave numbers longer than they need to be."""
    accept(b.function(b"\x20\x80\x80\x80\x80\0\x1a\x41\x80\x80\x80\x80\x78\x1a", [b.I32]))
    accept(b.function(b"\x10\x80\x80\x80\x80\0"))
