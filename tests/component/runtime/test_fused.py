"""Calls between components in native code, by way of adapters."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("llvmlite")

from asyncwasm.component import Component, Instance, Linker
from asyncwasm.component.runtime import fused
from asyncwasm.core import Config, Engine, Store, StoreLimits
from asyncwasm.errors import Trap, TrapCode

# `$A` takes and gives a number, and throws or stops at some; `$B` calls it and adds one.
NUMBERS = """(component
  (component $A
    (core module $m {tag}
      (func (export "f") (param i32) (result i32)
        (if (i32.eq (local.get 0) (i32.const 1)) (then {one}))
        (i32.mul (local.get 0) (i32.const 2))))
    (core instance $i (instantiate $m))
    (func (export "f") (param "n" u8) (result u32) (canon lift (core func $i "f"))))
  (component $B
    (import "f" (func $f (param "n" u8) (result u32)))
    (core func $f' (canon lower (func $f)))
    (core module $m (import "" "f" (func $f (param i32) (result i32)))
      (func (export "run") (param i32) (result i32)
        (i32.add (call $f (local.get 0)) (i32.const 1))))
    (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))))))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run"))))
  (instance $a (instantiate $A))
  (instance $b (instantiate $B (with "f" (func $a "f"))))
  (export "run" (func $b "run")))"""

ALLOCATOR = """
      (global $top (mut i32) (i32.const 2048))
      (func (export "realloc") (param $old i32) (param $was i32) (param $align i32)
          (param $size i32) (result i32) (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
        (global.set $top (i32.add (local.get $at) (local.get $size)))
        (memory.copy (local.get $at) (local.get $old)
          (select (local.get $was) (local.get $size)
            (i32.lt_u (local.get $was) (local.get $size))))
        (local.get $at))"""

STRINGS = """(component
  (component $A
    (core module $m
      (memory (export "mem") 1)
      ALLOCATOR
      (func (export "f") (param i32 i32) (result i32)
        (i32.store (i32.const 1024) (local.get 0))
        (i32.store (i32.const 1028) (local.get 1))
        (i32.const 1024))
      (func (export "post") (param i32) (global.set $top (i32.const 2048))))
    (core instance $i (instantiate $m))
    (func (export "echo") (param "s" string) (result string)
      (canon lift (core func $i "f") string-encoding=utf16 (memory (core memory $i "mem"))
        (realloc (core func $i "realloc")) (post-return (core func $i "post")))))
  (component $B
    (import "echo" (func $echo (param "s" string) (result string)))
    (core module $libc
      (memory (export "mem") 1)
      ALLOCATOR)
    (core instance $libc (instantiate $libc))
    (core func $echo' (canon lower (func $echo) (memory (core memory $libc "mem"))
      (realloc (core func $libc "realloc"))))
    (core module $m (import "" "echo" (func $echo (param i32 i32 i32)))
      (func (export "run") (param i32 i32) (result i32)
        (call $echo (local.get 0) (local.get 1) (i32.const 1024)) (i32.const 1024)))
    (core instance $i (instantiate $m (with "" (instance (export "echo" (func $echo'))))))
    (func (export "run") (param "s" string) (result string)
      (canon lift (core func $i "run") (memory (core memory $libc "mem"))
        (realloc (core func $libc "realloc")))))
  (instance $a (instantiate $A))
  (instance $b (instantiate $B (with "echo" (func $a "echo"))))
  (export "run" (func $b "run")))""".replace("ALLOCATOR", ALLOCATOR)


def numbers(*, tag: str = "", one: str = "(unreachable)") -> str:
    return NUMBERS.format(tag=tag, one=one)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each call between components that was linked, whether by way of an adapter."""
    made: list[bool] = []
    real = fused.fused_call

    def counted(*args: Any) -> Any:
        found = real(*args)
        made.append(found is not None)
        return found

    monkeypatch.setattr("asyncwasm.component.runtime.trampolines.fused_call", counted)
    return made


def instantiate(text: str, store: Store[Any]) -> Instance:
    engine = store.engine
    return Linker(engine).instantiate(store, Component(engine, text))


def native(**options: Any) -> Engine:
    return Engine(Config(strategy="native", **options))


def test_numbers(made: list[bool]) -> None:
    store = Store(native())
    run = instantiate(numbers(), store).get_func(store, "run")
    assert made == [True]
    assert [run.call(store, n) for n in (0, 5, 256 + 7)] == [1, 11, 15]
    assert not store.engine.statistics().functions_interpreted
    with pytest.raises(Trap) as caught:
        run.call(store, 1)
    assert caught.value.code is TrapCode.UNREACHABLE
    with pytest.raises(Trap) as caught:
        run.call(store, 2)
    assert caught.value.code is TrapCode.CANNOT_ENTER_COMPONENT


def test_exceptions(made: list[bool]) -> None:
    store = Store(native())
    text = numbers(tag="(tag $t)", one="(throw $t)")
    run = instantiate(text, store).get_func(store, "run")
    assert made == [True]
    assert run.call(store, 4) == 9
    with pytest.raises(Trap) as caught:
        run.call(store, 1)
    assert caught.value.code is TrapCode.UNCAUGHT_EXCEPTION
    assert caught.value.frames[0].module_name == "component-adapter"


def test_strings(made: list[bool]) -> None:
    store = Store(native())
    run = instantiate(STRINGS, store).get_func(store, "run")
    assert made == [True]
    for text in ("", "plain", "sn☃wman 🍰", "é" * 400, "x" * 1000 + "é"):
        assert run.call(store, text) == text
    assert not store.engine.statistics().functions_interpreted


@pytest.mark.parametrize("switch", ["wasm_multi_memory", "wasm_simd"])
def test_without_what_adapters_are_made_of(made: list[bool], switch: str) -> None:
    options = {switch: False, "wasm_relaxed_simd": False}
    store = Store(native(**options))
    run = instantiate(numbers(), store).get_func(store, "run")
    assert made == [False]
    assert run.call(store, 5) == 11


def test_not_in_the_portable_engine(made: list[bool]) -> None:
    store = Store(Engine(Config(strategy="interpreter")))
    assert instantiate(numbers(), store).get_func(store, "run").call(store, 5) == 11
    assert made == [False]


def test_adapters_are_shared_and_not_counted() -> None:
    engine = native()
    component = Component(engine, numbers())
    for _ in range(2):
        store = Store(engine)
        store.limiter(StoreLimits(instances=2))
        instance = Linker(engine).instantiate(store, component)
        assert instance.get_func(store, "run").call(store, 5) == 11
    assert len(component.program.adapters) == 1
