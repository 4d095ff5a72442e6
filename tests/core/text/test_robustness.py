"""Broken text never raises anything but the two errors of the input's making."""

from __future__ import annotations

import contextlib
import random

import pytest

from asyncwasm.core.text import assemble
from asyncwasm.core.text.lexer import Source
from asyncwasm.core.text.script import read_script
from asyncwasm.errors import MalformedError, ValidationError

_MODULE = r"""
(module $m (@name "m")
  (@custom "c" (after func) "x")
  (type $f (func (param i32) (result i64 f32)))
  (rec (type $s (sub (struct (field $a i32) (field (mut (ref null $r)))))) (type $r (array i8)))
  (import "a" "b" (func $i (type $f)))
  (import "a" "t" (tag $e (param i32)))
  (memory $mem (export "m") i64 1 2 shared (pagesize 1))
  (memory (data "a\41\u{42}"))
  (table $t 1 2 funcref (ref.null func))
  (table (ref null func) (elem (item ref.func $i) (ref.func $g)))
  (global $x (mut f64) (f64.const 0x1.8p-3))
  (elem $el (table $t) (offset i32.const 0) func $i $g)
  (elem declare funcref (ref.func $i))
  (data $d (memory $mem) (i64.const 0) "x" "")
  (start $g)
  (func $g (export "g") (local $l i32) (local f32 i64)
    block $b (param i32) (result i32)
      (if (result i32) (local.get $l) (then (i32.const -1)) (else unreachable))
      (@metadata.code.branch_hint "\01") br_if $b
      (br_table $b 0 $b (i32.const 1))
    end $b
    (try_table (catch $e 0) (catch_all_ref 0) (throw $e))
    (v128.load8_lane $mem offset=1 align=1 15)
    (call_indirect $t (type $f) (param i32) (result i64 f32) (i32.const 0))
    (struct.get $s $a (ref.cast (ref $s) (ref.null none)))
    (v128.const f32x4 1 -inf nan:0x7 1e10)
    i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
    select (result i32) memory.init $mem $d ;; (;
  )
)
"""
_SCRIPT = r"""
(module quote "(func" ")") (module definition $D binary "\00asm") (module instance $I $D)
(register "x" $I) (get "g")
(assert_return (invoke $I "f" (i32.const 1) (ref.extern 2))
  (either (ref.null) (f32.const nan:canonical)))
(assert_trap (module) "x") (assert_malformed_custom (module quote "") "y")
(thread $T (shared (module $I)) (invoke "f")) (wait $T)
"""
_STRANGE = [
    *"()\"$@;,",
    *"(; ;) ;; (@ (@x \"\\ $\" 0x 1e 1e999 -0 nan:0x0 nan:0x7fffff 18446744073709551616".split(),
    *"$g $f $zz 0 1 99 i32 i8 func type param result local mut ref null sub final rec".split(),
    *"struct field array block loop if then else end try_table catch (then (type (param".split(),
    '"a"',
    '(@name "n")',
    '(@custom "n")',
    '(@metadata.code.branch_hint "\\00")',
    "\0",
    "é",
    "\ud800",
]  # fmt: skip


def _try(text: str | bytes) -> None:
    for action in (assemble, _run_script):
        with contextlib.suppress(MalformedError, ValidationError):
            action(text)


def _run_script(text: str | bytes) -> None:
    for command in read_script(text):
        module = getattr(command, "module", None)
        if hasattr(module, "to_binary"):
            module.to_binary()


def test_what_is_mutated_is_well_formed():
    assert assemble(_MODULE)
    assert len(list(read_script(_SCRIPT))) == 10


@pytest.mark.parametrize("seed", range(8))
def test_mutated_tokens(seed: int):
    """Tokens removed, inserted, exchanged and repeated."""
    chance = random.Random(seed)
    originals = [Source(_MODULE).tokens[:-1], Source(_SCRIPT).tokens[:-1]]
    everything = sorted({token for tokens in originals for token in tokens}) + _STRANGE
    for _ in range(150):
        tokens = list(chance.choice(originals))
        for _ in range(chance.choice((1, 1, 2, 5))):
            at, other = chance.randrange(len(tokens)), chance.randrange(len(tokens))
            match chance.randrange(5):
                case 0:
                    del tokens[at : at + chance.choice((1, 1, 3))]
                case 1:
                    tokens[at] = chance.choice(everything)
                case 2:
                    tokens[at], tokens[other] = tokens[other], tokens[at]
                case 3:
                    tokens[at:at] = tokens[other : other + 20]
                case _:
                    tokens.insert(at, chance.choice(everything))
            tokens = tokens or ["("]
        _try(chance.choice((" ", " ", "\n", "")).join(tokens))


@pytest.mark.parametrize("seed", range(8))
def test_mutated_bytes(seed: int):
    """Bytes changed, removed and cut off."""
    chance = random.Random(seed)
    for _ in range(150):
        data = bytearray(chance.choice((_MODULE, _SCRIPT)).encode())
        for _ in range(chance.choice((1, 2, 4))):
            at = chance.randrange(len(data))
            match chance.randrange(3):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at]
                case _:
                    data.insert(at, chance.choice(b'()"$;@ \\'))
        if not chance.randrange(4):
            del data[chance.randrange(len(data)) :]
        _try(bytes(data))


def test_every_prefix():
    """A text cut off anywhere."""
    for text in (_MODULE, _SCRIPT):
        tokens = Source(text).tokens
        for end in range(len(tokens)):
            _try(" ".join(tokens[:end]))


@pytest.mark.slow
def test_deep_nesting():
    """Nesting beyond Python's recursion limit, in everything that nests."""
    deep = 20_000
    for opening in ("(", "(; ", "(@x ", "(@x (", "(either ", "(block ", "(thread $T ", "(rec "):
        for before in ("", "(module (func ", '(assert_return (invoke "f") ', "(module (type "):
            _try(before + opening * deep)
            _try(before + opening * deep + ")" * (deep + 2))
