"""Exceptions in native code: within it, to and from host functions and the portable engine."""

from __future__ import annotations

import gc
import sys
from typing import Any

import anyio
import pytest

from asyncwasm import (
    Config,
    Engine,
    ExnRef,
    ExnRefPre,
    ExternRef,
    Func,
    FuncType,
    Instance,
    Module,
    Store,
    ThrownException,
    Trap,
    TrapCode,
)
from asyncwasm.core.types import I32

pytest.importorskip("llvmlite")

from asyncwasm.core.exec.native.lower import LOWERINGS

TEXT = """
(module
  (import "" "host" (func $host (param i32)))
  (tag $e (export "e") (param i32 externref i64))
  (tag $f (export "f") (param f32))
  (tag $none (export "none"))
  (table $t 1 funcref)
  (elem (i32.const 0) func $thrower)
  (func $thrower (param i32 externref)
    (local externref)
    (local.set 2 (local.get 1))
    (local.get 1) (local.get 0)
    (if (i32.eq (local.get 0) (i32.const 1))
      (then (throw $e (i32.const 7) (local.get 1) (i64.const 9))))
    (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $f (f32.const 1.5))))
    (if (i32.eq (local.get 0) (i32.const 3)) (then (throw $none)))
    (if (i32.eq (local.get 0) (i32.const 4)) (then (unreachable)))
    (if (i32.ge_s (local.get 0) (i32.const 5)) (then (call $host (local.get 0))))
    drop drop)
  (func $middle (export "middle") (param i32 externref)
    (local externref)
    (local.set 2 (local.get 1)) (local.get 2)
    (call_indirect (param i32 externref) (local.get 0) (local.get 1) (i32.const 0))
    drop)
  (func $catch (export "catch") (param i32 externref) (result i32 externref i64)
    (local i32)
    (local.get 1)
    (block $f (result f32)
      (block $e (result i32 externref i64)
        (local.get 1)
        (try_table (param externref) (result externref) (catch $f $f) (catch $e $e)
          (local.set 2 (i32.const 5))
          (call $middle (local.get 0) (local.get 1))
          (local.get 1) (drop)
          (local.set 2 (i32.const 6)))
        (drop)
        (return (local.get 2) (local.get 1) (i64.const 0)))
      (return))
    (i32.trunc_f32_s) (drop) (drop)
    (i32.const 100) (local.get 1) (i64.const 2))
  (func (export "rethrow") (param i32 externref) (result i32)
    (local exnref i32)
    (loop $again
      (block $caught (result exnref)
        (try_table (catch_all_ref $caught)
          (if (local.get 3) (then (throw_ref (local.get 2))))
          (call $middle (local.get 0) (local.get 1)))
        (return (i32.const -1)))
      (local.set 2)
      (br_if $again (i32.lt_u (local.tee 3 (i32.add (local.get 3) (i32.const 1))) (i32.const 5))))
    (block $other
      (block $no (result i32 externref i64)
        (try_table (catch $e $no) (catch_all $other) (throw_ref (local.get 2)))
        (unreachable))
      (drop) (drop) (return))
    (i32.const -2))
  (func (export "inside") (param i32 externref) (result i32)
    (block $done (result i32)
      (block $all
        (try_table (catch_all $all)
          (block $inner (result i32 externref i64)
            (try_table (catch $e $inner)
              (call $thrower (local.get 0) (local.get 1)))
            (br $done (i32.const 1)))
          (drop) (drop) (br $done)))
      (i32.const 3)))
  (func (export "loop") (param i32 externref) (result i32)
    (local i32 i32)
    (loop $next
      (block $caught (result i32 externref i64)
        (try_table (catch $e $caught)
          (call $middle (i32.rem_u (local.get 2) (i32.const 2)) (local.get 1)))
        (i32.const 0) (ref.null extern) (i64.const 0))
      (drop) (drop) (local.get 3) (i32.add)
      (local.set 3)
      (br_if $next
        (i32.lt_u (local.tee 2 (i32.add (local.get 2) (i32.const 1))) (i32.const 100))))
    (local.get 3))
  (func (export "null") (param i32 externref) (throw_ref (ref.null exn)))
)
"""


class HostError(Exception):
    pass


def made(strategy: str) -> Any:
    store = Store(Engine(Config(strategy=strategy)))
    known: dict[str, Any] = {}

    def host(caller: Any, number: int) -> None:
        if number == 5:
            raise HostError
        if number == 6:
            raise KeyboardInterrupt
        if number == 7:
            tag = known["e"]
            values = [11, known["value"], 13]
            raise store.throw(ExnRef.new(store, known["pre"], tag, values))

    instance = Instance.new(
        store, Module(store.engine, TEXT), [Func.new(store, FuncType((I32,), ()), host)]
    )
    known["e"] = instance.get_tag(store, "e")
    known["pre"] = ExnRefPre.new(store, known["e"].ty(store))
    known["value"] = ExternRef.new(store, object())
    store.data = known["value"]
    return instance


NAMES = ["middle", "catch", "rethrow", "inside", "loop", "null"]


def outcome(instance: Any, name: str, number: int, value: Any) -> object:
    store = instance.store
    try:
        result = instance.get_func(store, name).call(store, number, value)
    except Trap as trap:
        return trap.message, [frame.func_index for frame in trap.frames]
    except ThrownException as error:
        tag = error.exn.tag
        name = next(n for n in ("e", "f", "none") if instance.get_tag(store, n) is tag)
        return name, [note.count("\\n") for note in getattr(error, "__notes__", [])]
    except (HostError, KeyboardInterrupt) as error:
        return type(error)
    items = result if isinstance(result, tuple) else (result,)
    return [
        ("value" if item is value else "other") if isinstance(item, ExternRef) else item
        for item in items
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_engines_agree(name: str):
    native, portable = made("native"), made("interpreter")
    for number in range(8):
        found = outcome(native, name, number, native.store.data)
        assert found == outcome(portable, name, number, portable.store.data), number
    assert native.store.engine.statistics().functions_interpreted == {}


@pytest.mark.parametrize("name", NAMES)
def test_no_references_are_left_behind(name: str):
    instance = made("native")
    value = instance.store.data

    def run() -> None:
        for number in range(8):
            outcome(instance, name, number, value)

    run()
    gc.collect()
    before = sys.getrefcount(value)
    exceptions = sum(type(item) is ExnRef for item in gc.get_objects())
    for _ in range(20):
        run()
    gc.collect()
    instance.store.take_pending_exception()
    assert abs(sys.getrefcount(value) - before) <= 1
    assert sum(type(item) is ExnRef for item in gc.get_objects()) <= exceptions + 1


def test_the_frames_of_an_uncaught_exception_are_known():
    found = []
    for strategy in ("native", "interpreter"):
        instance = made(strategy)
        with pytest.raises(ThrownException) as caught:
            instance.get_func(instance.store, "middle").call(instance.store, 1, None)
        found.append(caught.value.__notes__)
    assert found[0] == found[1]
    assert len(found[0][0].splitlines()) == 3


def test_an_error_that_no_handler_is_for_comes_out_as_it_is():
    store = Store(Engine(Config(strategy="native")))
    errors = []

    def host(caller: Any) -> None:
        errors.append(store.throw(thrown))
        raise errors[-1]

    text = """(module (import "" "h" (func $h)) (tag $mine) (tag (export "other"))
      (func (export "run")
        (block $b (try_table (catch $mine $b) (call $h)) (unreachable))))"""
    func = Func.new(store, FuncType((), ()), host)
    instance = Instance.new(store, Module(store.engine, text), [func])
    tag = instance.get_tag(store, "other")
    assert tag is not None
    thrown = ExnRef.new(store, ExnRefPre.new(store, tag.ty(store)), tag, [])
    run = instance.get_func(store, "run")
    assert run is not None
    for _ in range(3):
        with pytest.raises(ThrownException) as caught:
            run.call(store)
        assert caught.value is errors[-1]


@pytest.mark.parametrize("which", ["callee", "caller"])
def test_between_the_engines(which: str, monkeypatch):
    monkeypatch.delitem(LOWERINGS, "i32.popcnt")
    text = """(module (tag $e (param i32))
      (func $callee (param i32) {callee} (throw $e (local.get 0)))
      (func (export "run") (param i32) (result i32)
        {caller}
        (block $b (result i32)
          (try_table (catch $e $b) (call $callee (local.get 0))) (i32.const -1))))"""
    odd = "(drop (i32.popcnt (i32.const 1)))"
    marks = {"callee": "", "caller": "", which: odd}
    store = Store(Engine(Config(strategy="native")))
    instance = Instance.new(store, Module(store.engine, text.format(**marks)))
    run = instance.get_func(store, "run")
    assert run is not None
    assert [run.call(store, n) for n in range(5)] == [0, 1, 2, 3, 4]
    assert sum(store.engine.statistics().functions_interpreted.values()) == 1


def test_traps_are_not_caught():
    text = """(module (memory 1)
      (func $deep (call $deep))
      (func (export "run") (param i32) (result i32)
        (block $b
          (try_table (catch_all $b)
            (if (i32.eq (local.get 0) (i32.const 0)) (then (unreachable)))
            (if (i32.eq (local.get 0) (i32.const 1)) (then (call $deep)))
            (if (i32.eq (local.get 0) (i32.const 2)) (then (drop (i32.load (i32.const -1)))))
            (drop (memory.grow (i32.const 0))))
          (return (i32.const 0)))
        (i32.const 1)))"""
    store = Store(Engine(Config(strategy="native")))
    run = Instance.new(store, Module(store.engine, text)).get_func(store, "run")
    assert run is not None
    codes = [TrapCode.UNREACHABLE, TrapCode.STACK_OVERFLOW, TrapCode.MEMORY_OUT_OF_BOUNDS]
    for number, code in enumerate(codes):
        with pytest.raises(Trap) as caught:
            run.call(store, number)
        assert caught.value.code is code
    assert run.call(store, 3) == 0


@pytest.mark.anyio
async def test_a_cancellation_is_not_caught():
    store = Store(Engine(Config(strategy="native")))

    async def wait(caller: Any) -> None:
        await anyio.sleep_forever()

    text = """(module (import "" "h" (func $h))
      (func (export "wait") (loop $l (block $b (try_table (catch_all $b) (call $h))) (br $l)))
      (func (export "spin") (loop $l (block $b (try_table (catch_all $b)
        (loop $m (br $m)))) (br $l))))"""
    func = Func.new_async(store, FuncType((), ()), wait)
    instance = await Instance.new_async(store, Module(store.engine, text), [func])
    for name in ("wait", "spin"):
        function = instance.get_func(store, name)
        assert function is not None
        with anyio.move_on_after(0.05) as scope:
            await function.call_async(store)
        assert scope.cancelled_caught
