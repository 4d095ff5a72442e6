"""Pending expressions are evaluated when WebAssembly would have evaluated them."""

from __future__ import annotations

import pytest

from asyncwasm import Config, Engine, Instance, Module, Store, Trap

from .strategies import every_strategy, only

ENGINE = Engine(Config(strategy="interpreter", preemption_interval=None))


def outcome(body: str, *arguments: int) -> object:
    """The result of a function, or the trap's code, and memory and global afterwards."""
    text = f"""(module (memory 1) (global $g (mut i32) (i32.const 1))
        (func $set (param i32) (result i32) (global.set $g (local.get 0)) (local.get 0))
        (func (export "f") (param $x i32) (param $y i32) (result i32) (local $z i32) {body})
        (func (export "state") (result i32)
            (i32.add (i32.mul (global.get $g) (i32.const 1000)) (i32.load (i32.const 8)))))"""
    store: Store[None] = Store(ENGINE)
    instance = Instance.new(store, Module(ENGINE, text), [])
    func, state = instance.get_func(store, "f"), instance.get_func(store, "state")
    assert func is not None
    assert state is not None
    try:
        result: object = func.call(store, *arguments)
    except Trap as trap:
        result = trap.code.name
    return result, state.call(store)


OUT = "(i32.load (i32.const 100000))"
STORE = "(i32.store (i32.const 8) (i32.const 5))"

CASES = {
    "a local read before it is set": (
        "(local.get $x) (local.set $x (i32.const 9)) (local.get $x) i32.sub",
        (1, (-8, 1000)),
    ),
    "a local read before it is teed": (
        "(i32.add (local.get $x) (i32.mul (local.tee $x (i32.const 9)) (i32.const 10)))",
        (3, (93, 1000)),
    ),
    "a sum kept over the change of its operand": (
        "(i32.add (local.get $x) (i32.const 1)) (local.set $x (i32.const 0)) "
        "(local.get $x) i32.add",
        (3, (4, 1000)),
    ),
    "a load before a store": (
        f"(i32.load (i32.const 8)) {STORE} (i32.load (i32.const 8)) i32.sub",
        (0, (-5, 1005)),
    ),
    "a load before a call": (
        "(global.get $g) (drop (call $set (i32.const 7))) (global.get $g) i32.sub",
        (0, (-6, 7000)),
    ),
    "arguments before the call": (
        "(i32.sub (global.get $g) (call $set (global.get $g)))",
        (0, (0, 1000)),
    ),
    "a trap before a store": (f"{OUT} {STORE}", (0, ("MEMORY_OUT_OF_BOUNDS", 1000))),
    "a trap after a store": (f"{STORE} {OUT}", (0, ("MEMORY_OUT_OF_BOUNDS", 1005))),
    "a trap before a call": (
        f"{OUT} (drop (call $set (i32.const 3)))",
        (0, ("MEMORY_OUT_OF_BOUNDS", 1000)),
    ),
    "the first of two traps": (
        f"(i32.add (i32.div_u (i32.const 1) (local.get $x)) {OUT})",
        (0, ("INTEGER_DIVISION_BY_ZERO", 1000)),
    ),
    "the first of two traps, through a local": (
        f"{OUT} (local.set $z (i32.div_u (i32.const 1) (local.get $x))) (i32.add (local.get $z))",
        (0, ("MEMORY_OUT_OF_BOUNDS", 1000)),
    ),
    "a dropped trap": (f"(drop {OUT}) (i32.const 1)", (0, ("MEMORY_OUT_OF_BOUNDS", 1000))),
    "a trap under a branch": (
        f"(block {OUT} (br_if 0 (i32.const 1)) drop) (i32.const 1)",
        (0, ("MEMORY_OUT_OF_BOUNDS", 1000)),
    ),
    "a trap under a return": (
        f"{OUT} (return (i32.const 1))",
        (0, ("MEMORY_OUT_OF_BOUNDS", 1000)),
    ),
    "both arms of a select": (
        f"(select (i32.const 1) {OUT} (i32.const 1))",
        (0, ("MEMORY_OUT_OF_BOUNDS", 1000)),
    ),
    "an arm before the condition of a select": (
        f"(select {OUT} (i32.const 1) (i32.div_u (i32.const 1) (local.get $x)))",
        (0, ("MEMORY_OUT_OF_BOUNDS", 1000)),
    ),
    "both sides of an and": (
        f"(i32.and (i32.eqz (local.get $x)) (i32.eqz {OUT}))",
        (1, ("MEMORY_OUT_OF_BOUNDS", 1000)),
    ),
    "both sides of an or": (
        f"(i32.or (i32.eqz (local.get $x)) (i32.eqz {OUT}))",
        (0, ("MEMORY_OUT_OF_BOUNDS", 1000)),
    ),
    "the address before the value of a store": (
        f"(i32.store8 (i32.div_u (i32.const 1) (local.get $x)) {OUT}) (i32.const 1)",
        (0, ("INTEGER_DIVISION_BY_ZERO", 1000)),
    ),
    "arguments before an indirect call": (
        f"(call_indirect (param i32) (result i32) {OUT} (i32.const 99))",
        (0, ("MEMORY_OUT_OF_BOUNDS", 1000)),
    ),
    "values under a loop": (
        """(local.get $x)
        (loop (local.set $x (i32.add (local.get $x) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get $x) (i32.const 10))))
        (local.get $x) i32.sub""",
        (3, (-7, 1000)),
    ),
    "values under an if": (
        "(global.get $g) (if (local.get $x) (then (drop (call $set (i32.const 8))))) "
        "(global.get $g) i32.sub",
        (1, (-7, 8000)),
    ),
    "label values that trade places": (
        """(i32.const 1) (i32.const 2) (i32.const 3)
        (loop (param i32 i32 i32) (result i32)
            (local.set $z) (local.set $y)
            (if (i32.eqz (local.get $x)) (then
                (return (i32.add (i32.mul (local.get $z) (i32.const 10)) (local.get $y)))))
            (local.set $x (i32.sub (local.get $x) (i32.const 1)))
            drop (local.get $z) (local.get $y) (i32.const 7) (br 0))""",
        (1, (72, 1000)),
    ),
}


@every_strategy
@pytest.mark.parametrize("name", CASES)
def test_order(name, strategy):
    body, (x, expected) = CASES[name]
    if "call_indirect" in body:
        body = body.replace("call_indirect", "call_indirect $t")
        body = f"{body}) (table $t 1 funcref) (func $unused"
    with only(strategy):
        assert outcome(body, x, 0) == expected


def test_swapped_loop_parameters():
    body = """(local.get $x) (local.get $y)
        (loop (param i32 i32) (result i32)
            (local.set $y) (local.set $x)
            (if (i32.ge_u (local.get $z) (i32.const 3)) (then (return (local.get $x))))
            (local.set $z (i32.add (local.get $z) (i32.const 1)))
            (local.get $y) (local.get $x) (br 0))"""
    assert outcome(body, 10, 20) == (20, 1000)
