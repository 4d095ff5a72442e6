"""Instantiation of components: order, failures half-way, limits, and what is freed."""

from __future__ import annotations

import gc
import weakref

import pytest

from asyncwasm import (
    Config,
    Engine,
    ResourceLimitError,
    Store,
    StoreLimits,
    Trap,
    TrapCode,
    ValidationError,
    WrongEngineError,
)
from asyncwasm.component import Component, Linker
from asyncwasm.errors import CanonicalAbiError


@pytest.fixture(params=["interpreter", "native"])
def engine(request) -> Engine:
    return Engine(Config(strategy=request.param))


# The first core instance takes note of the order, the third traps in its start function.
HALF_WAY = """
(component
  (import "note" (func $note (param "x" u32)))
  (core func $note' (canon lower (func $note)))
  (core module $m
    (import "" "note" (func $note (param i32)))
    (global (import "" "id") i32)
    (func $start
      (call $note (global.get 0))
      (if (i32.eq (global.get 0) (i32.const 3)) (then unreachable)))
    (start $start))
  (core module $id1 (global (export "id") i32 (i32.const 1)))
  (core module $id2 (global (export "id") i32 (i32.const 2)))
  (core module $id3 (global (export "id") i32 (i32.const 3)))
  (core instance $id1 (instantiate $id1))
  (core instance $id2 (instantiate $id2))
  (core instance $id3 (instantiate $id3))
  (core instance (instantiate $m (with "" (instance
    (export "note" (func $note')) (export "id" (global $id1 "id"))))))
  (core instance (instantiate $m (with "" (instance
    (export "note" (func $note')) (export "id" (global $id2 "id"))))))
  (core instance (instantiate $m (with "" (instance
    (export "note" (func $note')) (export "id" (global $id3 "id")))))))
"""

EMPTY = """
(component
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func (export "f") (canon lift (core func $i "f"))))
"""


def test_start_functions_run_in_order_and_a_failure_poisons(engine):
    order = []
    linker = Linker(engine)
    linker.root().func_wrap("note", order.append)
    store = Store(engine)
    component = Component(engine, HALF_WAY)
    with pytest.raises(Trap, match="unreachable"):
        linker.instantiate(store, component)
    assert order == [1, 2, 3]
    # Instantiation is not refused, calls are.
    instance = Linker(engine).instantiate(store, Component(engine, EMPTY))
    with pytest.raises(Trap) as trap:
        instance.get_func(store, "f").call(store)
    assert trap.value.code is TrapCode.CANNOT_ENTER_COMPONENT


def test_limits_strike_half_way_and_keep_what_was_counted(engine):
    order = []
    linker = Linker(engine)
    linker.root().func_wrap("note", order.append)
    store = Store(engine)
    store.limiter(StoreLimits(instances=5))
    with pytest.raises(ResourceLimitError):
        linker.instantiate(store, Component(engine, HALF_WAY))
    assert order == [1, 2]
    with pytest.raises(ResourceLimitError):
        Linker(engine).instantiate(store, Component(engine, EMPTY))
    # A limit is no failure of guest code.
    assert not store.failed


def test_a_start_function_that_enters_its_own_instance_is_refused(engine):
    text = """
    (component
      (import "f" (func $f))
      (core func $f' (canon lower (func $f)))
      (core module $m
        (import "" "f" (func $f))
        (func (export "g"))
        (start $f))
      (core instance (instantiate $m (with "" (instance (export "f" (func $f')))))))
    """
    held = []

    def f(caller):
        with pytest.raises(Trap, match="cannot enter component instance"):
            held[0].call(caller)
        # Another instance in the same store is nobody's business.
        instance = Linker(engine).instantiate(caller, Component(engine, EMPTY))
        instance.get_func(caller, "f").call(caller)

    store = Store(engine)
    component = Component(engine, text)
    linker = Linker(engine)
    linker.root().func_wrap("f", lambda: None)
    linker.instantiate(store, component)
    held.append(_Reenter())
    linker.allow_shadowing(True)
    linker.root().func_wrap("f", f)
    linker.instantiate(store, component)


class _Reenter:
    """Stands for a function of the instance that is being made: none can be had yet."""

    def call(self, caller):
        from asyncwasm.component.runtime.state import state_of

        state = state_of(caller.store)
        state.check_entry(state.current.task.instance.data)


def test_components_that_multiply_are_refused(engine):
    text = '(component $c0 (core module $m (func (export "f"))) (core instance (instantiate $m)))'
    nested = text
    for i in range(1, 12):
        nested = (
            f"(component $c{i} {nested} (instance (instantiate $c{i - 1})) "
            f"(instance (instantiate $c{i - 1})))"
        )
    with pytest.raises(ResourceLimitError, match="instantiates more than 1000 components"):
        Component(engine, nested)


def test_components_within_components_without_end_are_refused(engine):
    def chain(length):
        links = "".join(
            f"(component $c{i} (alias outer $root $c{i - 1} (component $x))"
            "(instance (instantiate $x)))"
            for i in range(1, length)
        )
        return f"(component $root (component $c0) {links} (instance (instantiate $c{length - 1})))"

    Component(engine, chain(99))
    for length in (100, 900):
        with pytest.raises(ResourceLimitError, match="instantiate each other 100 levels deep"):
            Component(engine, chain(length))


def test_what_is_unsupported_is_refused(engine):
    with pytest.raises(ValidationError):
        Component(engine, '(component (import "v" (value u32)))')


def test_components_stay_with_their_engine(engine):
    component = Component(engine, EMPTY)
    pre = Linker(engine).instantiate_pre(component)
    with pytest.raises(WrongEngineError, match="cross-`Engine` usage is not supported"):
        pre.instantiate(Store(Engine()))


def test_everything_is_freed_with_the_store(engine):
    def once():
        store = Store(engine)
        component = Component(engine, EMPTY)
        instance = Linker(engine).instantiate(store, component)
        instance.get_func(store, "f").call(store)
        return weakref.ref(store), weakref.ref(component), weakref.ref(instance)

    refs = once()
    gc.collect()
    assert [ref() for ref in refs] == [None] * 3


@pytest.mark.parametrize("pointer", [0xFFFF, 0x10000, 0xFFFFFFFC])
def test_pointers_of_a_hostile_guest_are_checked(engine, pointer):
    text = f"""
    (component
      (core module $m
        (memory (export "memory") 1)
        (func (export "f") (result i32) (i32.const {pointer})))
      (core instance $i (instantiate $m))
      (func (export "f") (result (tuple u64 u64))
        (canon lift (core func $i "f") (memory (core memory $i "memory")))))
    """
    store = Store(engine)
    instance = Linker(engine).instantiate(store, Component(engine, text))
    with pytest.raises(CanonicalAbiError, match=r"return pointer not aligned|out of bounds"):
        instance.get_func(store, "f").call(store)


def test_a_list_of_a_billion_elements_is_refused(engine):
    text = """
    (component
      (core module $m
        (memory (export "memory") 1)
        (data (i32.const 0) "\\00\\00\\00\\00\\00\\ca\\9a\\3b")
        (func (export "f") (result i32) (i32.const 0)))
      (core instance $i (instantiate $m))
      (func (export "f") (result (list bool))
        (canon lift (core func $i "f") (memory (core memory $i "memory")))))
    """
    store = Store(engine)
    instance = Linker(engine).instantiate(store, Component(engine, text))
    with pytest.raises(CanonicalAbiError, match="list pointer/length out of bounds of memory"):
        instance.get_func(store, "f").call(store)


def test_handles_are_bounded_by_what_memory_there_is_not_by_time(engine):
    text = """
    (component
      (type $r (resource (rep i32)))
      (core func $new (canon resource.new $r))
      (core func $drop (canon resource.drop $r))
      (core module $m
        (import "" "new" (func $new (param i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "run") (param i32) (result i32)
          (local $last i32)
          (block $done
            (loop $again
              (br_if $done (i32.eqz (local.get 0)))
              (local.set $last (call $new (i32.const 7)))
              (call $drop (local.get $last))
              (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
              (br $again)))
          (local.get $last)))
      (core instance $i (instantiate $m (with "" (instance
        (export "new" (func $new)) (export "drop" (func $drop))))))
      (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run"))))
    """
    store = Store(engine)
    instance = Linker(engine).instantiate(store, Component(engine, text))
    assert instance.get_func(store, "run").call(store, 1000) == 1
