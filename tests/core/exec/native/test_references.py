"""References in native code: every way through a function leaves the right number of them."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any

import pytest

from asyncwasm import (
    Config,
    Engine,
    ExternRef,
    Func,
    FuncType,
    Instance,
    Module,
    Store,
    Trap,
    TrapCode,
)
from asyncwasm.core.types import EXTERNREF, I32

pytest.importorskip("llvmlite")

TEXT = """
(module
  (import "" "host" (func $host (param externref i32) (result externref)))
  (type $pass (func (param externref) (result externref)))
  (table $t (export "t") 4 externref)
  (table $f funcref (elem $same $host1))
  (global $g (export "g") (mut externref) (ref.null extern))
  (elem declare func $same $pair)
  (func $same (type $pass) (local.get 0))
  (func $host1 (type $pass) (call $host (local.get 0) (i32.const 0)))
  (func $pair (param externref) (result externref externref) (local.get 0) (local.get 0))

  (func (export "nothing") (param externref externref i32))
  (func (export "same") (param externref externref i32) (result externref) (local.get 0))
  (func (export "tee") (param externref externref i32) (result externref)
    (local externref)
    (local.set 3 (local.get 1)) (local.set 3 (local.get 0))
    (local.tee 3 (local.tee 1 (local.get 3))) (local.set 0 (ref.null extern)))
  (func (export "keep") (param externref externref i32) (result externref)
    (local.get 0) (local.set 0 (local.get 1)) (drop (local.get 0)))
  (func (export "block") (param externref externref i32) (result externref)
    (local.get 0)
    (if (param externref) (result externref) (local.get 2)
      (then (local.set 0 (local.get 1)) (drop) (local.get 0))
      (else (local.set 0 (ref.null extern)))))
  (func (export "branches") (param externref externref i32) (result externref)
    (block $a (result externref)
      (call $pair (local.get 0))
      (block $b (result externref)
        (call $same (local.get 1)) (call $same (local.get 0))
        (br_if $a (i32.eq (local.get 2) (i32.const 1)))
        (br_if $b (i32.eq (local.get 2) (i32.const 2)))
        (br_table $a $b (i32.sub (local.get 2) (i32.const 3))))
      drop (br $a)))
  (func (export "loop") (param externref externref i32) (result externref)
    (call $same (local.get 0))
    (loop $l (param externref) (result externref)
      (call $same (local.get 1)) (local.set 1) (call $same)
      (local.set 2 (i32.sub (local.get 2) (i32.const 1)))
      (br_if $l (i32.gt_s (local.get 2) (i32.const 0)))))
  (func (export "return") (param externref externref i32) (result externref)
    (call $pair (local.get 1)) (call $pair (local.get 0)) (return))
  (func (export "select") (param externref externref i32) (result externref)
    (select (result externref) (call $same (local.get 0)) (local.get 1) (local.get 2)))
  (func (export "table") (param externref externref i32) (result externref)
    (table.set $t (local.get 2) (local.get 0))
    (table.get $t (local.get 2))
    (table.set $t (local.get 2) (ref.null extern)))
  (func (export "bulk") (param externref externref i32) (result externref)
    (drop (table.grow $t (local.get 0) (i32.const 3)))
    (table.fill $t (i32.const 0) (local.get 1) (table.size $t))
    (table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 2))
    (table.get $t (i32.const 0))
    (table.fill $t (i32.const 0) (ref.null extern) (table.size $t)))
  (func (export "global") (param externref externref i32) (result externref)
    (global.set $g (call $same (local.get 0)))
    (global.get $g) (global.set $g (ref.null extern)))
  (func (export "indirect") (param externref externref i32) (result externref)
    (call_indirect $f (type $pass) (local.get 0) (local.get 2)))
  (func (export "ref") (param externref externref i32) (result externref)
    (call_ref $pass (local.get 0) (ref.func $same)))
  (func (export "host") (param externref externref i32) (result externref)
    (call $same (local.get 1)) (call $host (call $same (local.get 0)) (local.get 2)) (drop))
  (func (export "null") (param externref externref i32) (result externref)
    (block $null
      (block $none (result externref)
        (br_on_null $null (call $same (local.get 0)))
        (br_on_non_null $none) (local.get 1))
      (ref.as_non_null) (return))
    (ref.null extern))
  (func (export "trap") (param externref externref i32) (result externref)
    (local externref)
    (local.set 3 (call $same (local.get 0)))
    (call $pair (local.get 1))
    (block (param externref externref) (result externref)
      (drop (i32.div_u (i32.const 1) (local.get 2))) (drop))
    (drop) (table.get $t (local.get 2)))
  (func (export "non_null") (param externref externref i32) (result externref)
    (call $same (local.get 1))
    (drop (ref.as_non_null (table.get $t (local.get 2)))))
  (func $deep (export "deep") (param externref externref i32) (result externref)
    (call $deep (call $same (local.get 0)) (local.get 1) (local.get 2)) (return))
)
"""


class HostError(Exception):
    pass


@pytest.fixture(params=["native", "interpreter"])
def instance(request) -> Any:
    store = Store(Engine(Config(strategy=request.param)))

    def host(caller: Any, value: Any, number: int) -> Any:
        if number == 5:
            raise HostError
        return value

    ty = FuncType((EXTERNREF, I32), (EXTERNREF,))
    module = Module(store.engine, TEXT)
    made = Instance.new(store, module, [Func.new(store, ty, host)])
    yield made
    if request.param == "native":
        assert store.engine.statistics().functions_interpreted == {}


NAMES = (
    "nothing same tee keep block branches loop return select table bulk global indirect ref host "
    "null trap non_null deep"
).split()


@pytest.mark.parametrize("name", NAMES)
def test_every_way_leaves_as_many_references_as_there_were(name: str, instance: Any):
    store = instance.store
    func = instance.get_func(store, name)
    values = [ExternRef.new(store, object()), ExternRef.new(store, object()), None]

    # A trap that takes the whole stack takes its time.
    firsts, numbers, rounds = ((0,), (1,), 1) if name == "deep" else (range(3), range(6), 20)

    def outcomes() -> list[object]:
        found: list[object] = []
        for first in firsts:
            for second in range(3):
                for number in numbers:
                    try:
                        result = func.call(store, values[first], values[second], number)
                    except Trap as trap:
                        result = trap.code
                        trap.__traceback__ = None
                    except HostError:
                        result = "host"
                    kind = result if isinstance(result, (str, TrapCode)) else values.index(result)
                    found.append(kind)
        return found

    first = outcomes()
    gc.collect()
    before = [sys.getrefcount(value) for value in values[:2]]
    nones = sys.getrefcount(None)
    for _ in range(rounds):
        assert outcomes() == first
    gc.collect()
    assert [sys.getrefcount(value) for value in values[:2]] == before
    # A table that has grown holds more nulls than before.
    assert name == "bulk" or abs(sys.getrefcount(None) - nones) < 100


def test_the_ways_lead_to_where_they_do_in_the_portable_engine():
    found = []
    for strategy in ("native", "interpreter"):
        store = Store(Engine(Config(strategy=strategy)))
        ty = FuncType((EXTERNREF, I32), (EXTERNREF,))
        host = Func.new(store, ty, lambda caller, value, number: value)
        made = Instance.new(store, Module(store.engine, TEXT), [host])
        values = [ExternRef.new(store, object()), ExternRef.new(store, object()), None]
        here: list[object] = []
        for name in NAMES[:-1]:
            for number in range(7):
                try:
                    result = made.get_func(store, name).call(store, *values[:2], number)
                    here.append((name, number, values.index(result)))
                except Trap as trap:
                    here.append((name, number, trap.message))
        found.append(here)
    assert found[0] == found[1]


def test_what_a_finalizer_does_to_a_table_does_no_harm():
    """Overwriting an element may free it, and its finalizer may call the guest again."""
    store = Store(Engine(Config(strategy="native")))
    text = """(module (table $t (export "t") 2 externref)
      (func (export "set") (param i32 externref) (table.set $t (local.get 0) (local.get 1)))
      (func (export "grow") (drop (table.grow $t (ref.null extern) (i32.const 1000)))))"""
    instance = Instance.new(store, Module(store.engine, text))
    table = instance.get_table(store, "t")
    assert table is not None
    calls = []

    class Value:
        def __del__(self) -> None:
            calls.append(table.size(store))
            table.grow(store, 1000, None)

    reference = ExternRef.new(store, Value())
    func = instance.get_func(store, "set")
    assert func is not None
    func.call(store, 1, reference)
    del reference
    func.call(store, 1, None)
    assert calls == [2]
    assert table.get(store, 1) is None


def test_a_store_that_is_dropped_takes_its_references_along():
    store = Store(Engine(Config(strategy="native")))
    text = """(module (global $g (mut externref) (ref.null extern)) (table $t 3 externref)
      (func (export "f") (param externref)
        (global.set $g (local.get 0)) (table.set $t (i32.const 1) (local.get 0))))"""
    instance = Instance.new(store, Module(store.engine, text))

    class Value:
        pass

    value = Value()
    gone = weakref.ref(value)
    func = instance.get_func(store, "f")
    assert func is not None
    func.call(store, ExternRef.new(store, value))
    del value
    gc.collect()
    assert gone() is not None
    del store, instance, func
    gc.collect()
    assert gone() is None


def test_function_references_are_the_functions():
    store = Store(Engine(Config(strategy="native")))
    text = """(module (import "" "h" (func $h (result i32)))
      (table $t 2 funcref) (elem declare func $h $f)
      (func $f (export "f") (result i32) (i32.const 7))
      (func (export "get") (param i32) (result funcref)
        (table.set $t (i32.const 0) (ref.func $h)) (table.set $t (i32.const 1) (ref.func $f))
        (table.get $t (local.get 0)))
      (func (export "call") (param i32) (result i32)
        (call_indirect $t (result i32) (local.get 0))))"""
    host = Func.new(store, FuncType((), (I32,)), lambda caller: 5)
    instance = Instance.new(store, Module(store.engine, text), [host])
    get, call = (instance.get_func(store, name) for name in ("get", "call"))
    assert get is not None
    assert call is not None
    assert get.call(store, 0) is host
    assert get.call(store, 1) is instance.get_func(store, "f")
    assert [call.call(store, 0), call.call(store, 1)] == [5, 7]
    with pytest.raises(Trap) as caught:
        call.call(store, 2)
    assert caught.value.message == "undefined element"
