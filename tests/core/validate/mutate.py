"""Modules of the official suite, and ours, with a few bytes changed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.isa.features import ALL
from asyncwasm.core.module import Span
from asyncwasm.core.text import assemble
from asyncwasm.errors import WasmError
from tests.core.validate.check import all_of, script_modules, scripts

# Bytes that mean something in many places: opcodes, types, prefixes, flags.
_TELLING = bytes.fromhex(
    "00 01 02 03 04 05 0b 0c 0e 10 1a 1b 1f 20 21 40 41 4e 50 5e 5f 60 63 64 6b 6e 6f 70 7b 7e 7f"
    "80 d0 d2 d4 fb fc fd fe ff"
)

_OURS = """
(module (type $f (func (param i32) (result i32)))
  (memory 1) (table 2 funcref) (global (mut i32) (i32.const 0)) (tag (param i32))
  (func $a (export "a") (type $f) (local i64 (ref 0))
    (block (result i32) (br_if 0 (i32.const 1) (local.get 0)) (drop) (i32.load (i32.const 0))))
  (func (type $f)
    (if (result i32) (local.get 0) (then (call $a (i32.const 1))) (else (i32.const 2))))
  (elem (i32.const 0) $a) (data (i32.const 0) "abc"))
"""


@cache
def corpus() -> list[bytes]:
    """Small modules to start from: the suite's where it is, and one of ours."""
    modules = [assemble(_OURS)]
    for script in scripts():
        modules += [data for data in all_of(script_modules(script)) if 8 < len(data) < 5000]
    return modules


def mutated_modules(seed: int, count: int, inside_code: bool = False) -> Iterator[bytes]:
    """`count` mutated modules; with `inside_code` only bytes of expressions are replaced."""
    rng = random.Random(seed)
    modules = corpus()
    made = 0
    while made < count:
        data = bytearray(rng.choice(modules))
        spans = [Span(8, len(data))]
        if inside_code:
            spans = _expressions(bytes(data))
            if not spans:
                continue
        for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
            span = rng.choice(spans)
            _mutate(rng, data, rng.randrange(span.start, span.end), replace=inside_code)
        made += 1
        yield bytes(data)


def _expressions(data: bytes) -> list[Span]:
    try:
        info = decode_module(data, ALL)
    except WasmError:
        return []
    return [span for span in info.bodies + info.global_inits if span.end > span.start]


def _mutate(rng: random.Random, data: bytearray, place: int, replace: bool) -> None:
    place = min(place, len(data) - 1)
    match rng.randrange(3 if replace else 7):
        case 0:
            data[place] = rng.choice(_TELLING)
        case 1:
            data[place] = rng.randrange(256)
        case 2:
            data[place] ^= 1 << rng.randrange(8)
        case 3:
            data.insert(place, rng.choice(_TELLING))
        case 4:
            del data[place]
            data += b"\0" * (len(data) < 9)
        case 5:
            data[place:] = data[place : place + rng.randrange(1, 40)]
        case _:
            start = rng.randrange(len(data))
            data[place:place] = data[start : start + rng.randrange(1, 9)]
