"""Calls of tables' elements, of which instances remember where they went."""

from __future__ import annotations

import pytest

from asyncwasm import Config, Engine, Func, FuncType, Instance, Module, Store, Trap
from asyncwasm.core.types import I32

pytest.importorskip("llvmlite")

RETURNS_I32 = FuncType((), (I32,))


@pytest.fixture(params=["speed", "tiered"])
def store(request) -> Store:
    return Store(Engine(Config(strategy="native", opt_level=request.param)))


def made(store: Store, text: str, *imports) -> Instance:
    return Instance.new(store, Module(store.engine, text), imports)


CHANGING = """(module (import "" "host" (func $host (result i32)))
  (type $t (func (result i32)))
  (table $t (export "table") 4 {maximum} funcref)
  (elem (i32.const 0) $one $two $other)
  (func $one (export "one") (result i32) (i32.const 1))
  (func $two (export "two") (result i32) (i32.const 2))
  (func $other (export "other") (param i32) (result i32) (local.get 0))
  (func (export "at") (param i32) (result i32) (call_indirect (type $t) (local.get 0)))
  (func (export "sum") (param $n i32) (result i32)
    (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum)
        (call_indirect (type $t) (i32.and (local.get $n) (i32.const 1)))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"""


@pytest.mark.parametrize("maximum", ["", "4"])
def test_elements_that_change(store: Store, maximum: str):
    host = Func.new(store, RETURNS_I32, lambda caller: 7)
    instance = made(store, CHANGING.format(maximum=maximum), host)
    table = instance.get_table(store, "table")
    at, total = (instance.get_func(store, name) for name in ("at", "sum"))
    one, two, other = (instance.get_func(store, name) for name in ("one", "two", "other"))

    def outcome(index: int) -> object:
        found = []
        # The first call is remembered, the second may use that.
        for _ in range(2):
            try:
                found.append(at.call(store, index))
            except Trap as trap:
                found.append(str(trap).splitlines()[0])
        assert found[0] == found[1]
        return found[0]

    assert [outcome(n) for n in (0, 1)] == [1, 2]
    assert "type mismatch" in outcome(2)
    assert "uninitialized element" in outcome(3)
    assert "undefined element" in outcome(4)
    assert "undefined element" in outcome(-1)
    assert total.call(store, 10) == 15
    table.set(store, 0, two)
    table.set(store, 1, one)
    assert [outcome(n) for n in (0, 1)] == [2, 1]
    table.set(store, 0, host)
    assert outcome(0) == 7
    assert total.call(store, 10) == 40
    table.set(store, 0, other)
    assert "type mismatch" in outcome(0)
    table.set(store, 0, None)
    assert "uninitialized element" in outcome(0)
    elsewhere = made(store, '(module (func (export "f") (result i32) (i32.const 9)))')
    table.set(store, 0, elsewhere.get_func(store, "f"))
    del elsewhere
    assert outcome(0) == 9
    if not maximum:
        table.grow(store, 1, one)
        assert outcome(4) == 1
        assert "undefined element" in outcome(5)


def test_indices_that_share_a_place(store: Store):
    count = 1500
    functions = "".join(f"(func (result i32) (i32.const {n}))" for n in range(count))
    listed = " ".join(map(str, range(count)))
    instance = made(
        store,
        f"""(module (type $t (func (result i32))) (table {count} funcref)
          {functions} (elem (i32.const 0) func {listed})
          (func (export "at") (param i32) (result i32) (call_indirect (type $t) (local.get 0))))""",
    )
    at = instance.get_func(store, "at")
    for index in (3, 515, 1027, 3, 3, 515, 1499, 0, 512):
        assert at.call(store, index) == index


def test_types_of_one_table(store: Store):
    """An element is called by its very type, also where another call of it went well."""
    instance = made(
        store,
        """(module (type $a (func (result i32))) (type $b (func (result i64)))
          (table funcref (elem $a $b))
          (func $a (type $a) (i32.const 5)) (func $b (type $b) (i64.const 6))
          (func (export "a") (param i32) (result i32) (call_indirect (type $a) (local.get 0)))
          (func (export "b") (param i32) (result i64) (call_indirect (type $b) (local.get 0))))""",
    )
    a, b = (instance.get_func(store, name) for name in "ab")
    for _ in range(2):
        assert (a.call(store, 0), b.call(store, 1)) == (5, 6)
        for function, index in ((a, 1), (b, 0)):
            with pytest.raises(Trap, match="type mismatch"):
                function.call(store, index)


def test_better_code_is_found():
    """What is remembered is where a function's code is noted, not the code."""
    store = Store(Engine(Config(strategy="native")))
    instance = made(
        store,
        """(module (type $t (func (param i32) (result i32))) (table funcref (elem $f))
          (func $f (type $t) (i32.add (local.get 0) (i32.const 1)))
          (func (export "run") (param i32) (result i32) (call_indirect (type $t) (local.get 0)
            (i32.const 0))))""",
    )
    run = instance.get_func(store, "run")
    assert run.call(store, 1) == 2
    code = store.engine.executor._code_of(instance._module)
    code._optimise(instance._module, 0)
    assert run.call(store, 2) == 3
