"""The fast loop over bodies and the plain reading of the rules agree, errors included."""

from __future__ import annotations

import pytest

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.isa.features import ALL
from asyncwasm.core.validate import function, validate_module
from asyncwasm.core.validate.body import Body
from asyncwasm.core.validate.instruction import step
from asyncwasm.errors import WasmError
from tests.core.validate.check import accept
from tests.core.validate.mutate import corpus, mutated_modules


def _plainly(body: Body) -> None:
    """What `function._run` does, an instruction at a time."""
    pos = body.pos
    while body.frames:
        pos = step(body, pos)


def _outcome(data: bytes) -> tuple[type, str] | None:
    try:
        validate_module(decode_module(data, ALL), ALL)
    except WasmError as error:
        return type(error), str(error)
    return None


@pytest.mark.slow
def test_the_loop_changes_no_outcome(monkeypatch: pytest.MonkeyPatch):
    modules = [
        *corpus(),
        *mutated_modules(seed=9, count=2000),
        *mutated_modules(seed=9, count=4000, inside_code=True),
    ]
    fast = [_outcome(data) for data in modules]
    monkeypatch.setattr(function, "_run", _plainly)
    for data, outcome in zip(modules, fast, strict=True):
        assert _outcome(data) == outcome, data.hex()


def test_common_code_takes_the_loop_only(monkeypatch: pytest.MonkeyPatch):
    """What real modules consist of must not fall back to the rules, which take ten times as long.

    Counted rather than timed, so that it is the same on every machine.
    """
    steps = []

    def counting_step(body: Body, pos: int) -> int:
        steps.append(body.code[pos])
        return step(body, pos)

    monkeypatch.setattr(function, "step", counting_step)
    locals = " ".join(["i32"] * 200)
    accept(f"""
    (module (memory 1) (global $g (mut i32) (i32.const 0))
      (func $callee (param i32 i64) (result i32) (i32.const 1))
      (func (param i32 i64 f32 f64) (result i32) (local {locals})
        (block (loop (if (local.get 0) (then (br 2)))
          (br_if 1 (i32.eqz (i32.load offset=300000 (local.get 0))))
          (i64.store offset=8 (local.tee 150 (local.get 150)) (i64.const 0x7fffffffffff))
          (local.set 151 (i32.const -2147483648))
          (drop (f32.add (local.get 2) (f32.const 1.5)))
          (drop (f64.sqrt (f64.mul (local.get 3) (f64.const 2))))
          (global.set $g (i32.sub (global.get $g) (i32.const 16)))
          (drop (select (i64.const 1) (local.get 1) (i32.wrap_i64 (local.get 1))))
          (drop (i32x4.add (i32x4.splat (i32.const 1)) (i32x4.splat (i32.const 70000))))))
        (call $callee (local.get 0) (i64.const 1))))
    """)
    assert bytes(steps).hex() == "0b0b"  # Only the ends of the two functions.
