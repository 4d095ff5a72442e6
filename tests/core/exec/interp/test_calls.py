"""Calls: direct, through tables and references, between instances, and tail calls."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from asyncwasm import (
    Config,
    Engine,
    Func,
    FuncType,
    Global,
    GlobalType,
    Instance,
    Module,
    Store,
    Trap,
    TrapCode,
)
from asyncwasm.core.types import I32, I64

ENGINE = Engine(Config(strategy="interpreter", preemption_interval=None))


def instantiate(text: str, imports: Any = (), store: Store[None] | None = None) -> Any:
    """A function that calls exports by name."""
    store = store or Store(ENGINE)
    given = [make(store) if callable(make) else make for make in imports]
    instance = Instance.new(store, Module(ENGINE, text), given)

    def call(name: str, *arguments: Any) -> Any:
        func = instance.get_func(store, name)
        assert func is not None
        return func.call(store, *arguments)

    call.store, call.instance = store, instance  # type: ignore[attr-defined]
    return call


def trap(call: Any, *arguments: Any) -> tuple[TrapCode, str]:
    with pytest.raises(Trap) as caught:
        call(*arguments)
    return caught.value.code, caught.value.message


TABLE = """(module
    (type $unary (func (param i32) (result i32)))
    (table 4 8 funcref) (elem (i32.const 0) $double $two)
    (func $double (type $unary) (i32.mul (local.get 0) (i32.const 2)))
    (func $two (result i32) i32.const 2)
    (func (export "call") (param i32 i32) (result i32)
        (call_indirect (type $unary) (local.get 1) (local.get 0)))
    (func (export "tail") (param i32 i32) (result i32)
        (return_call_indirect (type $unary) (local.get 1) (local.get 0)))
    (func (export "grow") (drop (table.grow (ref.func $double) (i32.const 1)))))"""


@pytest.mark.parametrize("name", ["call", "tail"])
def test_indirect_calls(name):
    call = instantiate(TABLE)
    assert call(name, 0, 21) == 42
    assert trap(call, name, 1, 21) == (TrapCode.BAD_SIGNATURE, "indirect call type mismatch")
    code, message = trap(call, name, 2, 21)
    assert code is TrapCode.INDIRECT_CALL_TO_NULL
    assert message == "uninitialized element 2"
    for index in (4, 2**31, 2**32 - 1):
        assert trap(call, name, index, 1) == (TrapCode.TABLE_OUT_OF_BOUNDS, "undefined element")
    call("grow")
    assert call(name, 4, 21) == 42


def test_indirect_calls_accept_subtypes():
    call = instantiate("""(module
        (type $super (sub (func (result i32)))) (type $sub (sub $super (func (result i32))))
        (type $other (sub final $super (func (result i32))))
        (table funcref (elem $f))
        (func $f (type $sub) i32.const 5)
        (func (export "super") (result i32) (call_indirect (type $super) (i32.const 0)))
        (func (export "other") (result i32) (call_indirect (type $other) (i32.const 0))))""")
    assert call("super") == 5
    assert trap(call, "other")[0] is TrapCode.BAD_SIGNATURE


@pytest.mark.parametrize("name", ["call", "tail"])
def test_calls_of_references(name):
    call = instantiate("""(module
        (type $t (func (param i32) (result i32)))
        (func $double (type $t) (i32.mul (local.get 0) (i32.const 2)))
        (elem declare func $double)
        (func $pick (param i32) (result (ref null $t))
            (if (result (ref null $t)) (local.get 0)
                (then (ref.func $double)) (else (ref.null $t))))
        (func (export "call") (param i32) (result i32)
            (call_ref $t (i32.const 4) (call $pick (local.get 0))))
        (func (export "tail") (param i32) (result i32)
            (return_call_ref $t (i32.const 4) (call $pick (local.get 0)))))""")
    assert call(name, 1) == 8
    assert trap(call, name, 0) == (TrapCode.NULL_REFERENCE, "null function reference")


def test_tail_calls_take_no_stack():
    call = instantiate("""(module
        (type $t (func (param i32 i32) (result i32)))
        (table funcref (elem $even $odd $by_ref $last))
        (elem declare func $even)
        (func $even (export "even") (type $t)
            (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
            (return_call $odd (i32.sub (local.get 0) (i32.const 1))
                (i32.add (local.get 1) (i32.const 1))))
        (func $odd (type $t)
            (return_call_indirect (type $t) (local.get 0) (local.get 1) (i32.const 2)))
        (func $by_ref (type $t)
            (return_call_ref $t (local.get 0) (local.get 1) (ref.func $even)))
        (func $last (type $t) (i32.add (call $even (local.get 0) (local.get 1)) (i32.const 1)))
        (func (export "last") (type $t) (return_call $last (local.get 0) (local.get 1))))""")
    assert call("even", 30_000, 5) == 30_005
    assert call("last", 30_000, 5) == 30_006


def test_tail_calls_to_the_host_and_with_several_results():
    pair = FuncType((I64, I64), (I64, I64))
    call = instantiate(
        """(module (import "" "swap" (func $swap (param i64 i64) (result i64 i64)))
            (func $two (param i64 i64) (result i64 i64)
                (return_call $swap (local.get 0) (local.get 1)))
            (func (export "f") (param i64 i64) (result i64 i64)
                (call $two (local.get 0) (local.get 1)))
            (func (export "none") (return_call $nothing)) (func $nothing))""",
        [lambda store: Func.new(store, pair, lambda caller, a, b: (b, a))],
    )
    assert call("f", 1, 2) == (2, 1)
    assert call("none") is None


def test_calls_between_instances():
    store: Store[None] = Store(ENGINE)
    first = instantiate(
        """(module (global $n (mut i32) (i32.const 0))
            (func $count (export "count") (result i32)
                (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))
            (func (export "tail") (result i32) (return_call $count)))""",
        store=store,
    )
    exports = [first.instance.get_func(store, name) for name in ("count", "tail")]
    second = instantiate(
        """(module (import "" "count" (func $count (result i32)))
            (import "" "tail" (func $tail (result i32)))
            (func (export "twice") (result i32) (drop (call $count)) (call $count))
            (func (export "on") (result i32) (return_call $tail)))""",
        exports,
        store,
    )
    assert second("twice") == 2
    assert first("count") == 3
    assert second("on") == 4
    # Nothing is left of the stubs by which functions are called before they are translated.
    assert second.instance.namespace["f0"] is exports[0].fn


def test_instances_share_translations_but_no_state():
    module = Module(
        ENGINE,
        """(module (import "" "c" (global $c i32)) (memory 1) (global $g (mut i32) (i32.const 0))
            (func (export "f") (result i32)
                (global.set $g (i32.add (global.get $g) (global.get $c)))
                (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 100)))
                (i32.add (global.get $g) (i32.load (i32.const 0)))))""",
    )
    results = []
    for value in (1, 10):
        store: Store[None] = Store(ENGINE)
        constant = Global.new(store, GlobalType(I32), value)
        func = Instance.new(store, module, [constant]).get_func(store, "f")
        assert func is not None
        results.append([func.call(store) for _ in range(3)])
    assert results == [[101, 202, 303], [110, 220, 330]]


def test_translation_from_many_threads_at_once():
    count = 40
    functions = "".join(
        f'(func (export "f{k}") (result f64) (f64.const {k}.5) (f64.const inf) f64.min)'
        for k in range(count)
    )
    module = Module(ENGINE, f"(module {functions})")
    barrier = threading.Barrier(4)
    results: list[list[float]] = []

    def work() -> None:
        store: Store[None] = Store(ENGINE)
        instance = Instance.new(store, module, [])
        barrier.wait()
        found = []
        for k in range(count):
            func = instance.get_func(store, f"f{k}")
            assert func is not None
            found.append(func.call(store))
        results.append(found)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[k + 0.5 for k in range(count)]] * 4
