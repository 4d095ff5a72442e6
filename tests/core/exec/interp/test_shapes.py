"""Every valid function can be translated, however large or deep, and stays linear in size."""

from __future__ import annotations

import pytest

from asyncwasm import Config, Engine, Instance, Module, Store, Trap, TrapCode

from .strategies import every_strategy, only

ENGINE = Engine(Config(strategy="interpreter", preemption_interval=None))


def run(text: str, *arguments: int) -> object:
    store: Store[None] = Store(ENGINE)
    func = Instance.new(store, Module(ENGINE, text), []).get_func(store, "f")
    assert func is not None
    return func.call(store, *arguments)


def function(body: str, locals: str = "i32") -> str:
    return f"""(module (func (export "f") (param i32) (result i32) (local {locals})
        {body}))"""


COUNT = "local.get 1 i32.const 1 i32.add local.set 1 "


@pytest.mark.slow
@pytest.mark.parametrize("depth", [10, 20, 100, 2000])
def test_nested_blocks(depth):
    head = "".join(f"block local.get 0 i32.const {k} i32.eq br_if 0 " for k in range(depth))
    text = function(head + f"end {COUNT}" * depth + "local.get 1")
    assert run(text, depth // 2) == depth // 2 + 1
    assert run(text, depth) == depth


@pytest.mark.parametrize("depth", [5, 17, 25, 300])
def test_nested_loops(depth):
    again = f"local.get 1 i32.const {{}} i32.lt_u br_if {{}} {COUNT}"
    inner = "".join(again.format(20 + k, k) for k in range(0, depth, 3))
    text = function("loop " * depth + COUNT + inner + "end " * depth + "local.get 1")
    expected = 0
    # Every branch goes back to before the count.
    k = 0
    while True:
        expected += 1
        for k in range(0, depth, 3):
            if expected < 20 + k:
                break
            expected += 1
        else:
            break
    assert run(text, 0) == expected


@pytest.mark.slow
@pytest.mark.parametrize("depth", [50, 2000])
def test_nested_ifs(depth):
    less = "local.get 0 if local.get 0 i32.const 1 i32.sub local.set 0 "
    assert run(function((less + COUNT) * depth + "end " * depth + "local.get 1"), 40) == 40
    chain = "".join(
        f"local.get 0 i32.const {k} i32.eq if (result i32) i32.const {2 * k} else "
        for k in range(depth)
    )
    assert run(function(chain + "i32.const 7 " + "end " * depth), depth - 1) == 2 * depth - 2
    assert run(function(chain + "i32.const 7 " + "end " * depth), depth) == 7


def _thrower(depth: int) -> str:
    tags = "".join(f"(tag $e{k} (param i32))" for k in range(depth))
    heads = "".join(
        f"block $h{k} (result i32) try_table (result i32) (catch $e{k} $h{k}) "
        for k in range(depth)
    )
    throws = "".join(
        f"local.get 0 i32.const {k} i32.eq if i32.const {10 * k} throw $e{k} end "
        for k in range(depth)
    )
    tails = "end i32.const 1 i32.add end " * depth
    return f"""(module {tags} (func (export "f") (param i32) (result i32)
        {heads} {throws} i32.const 5 {tails}))"""


@pytest.mark.parametrize("depth", [1, 4, 30, 150])
def test_nested_handlers(depth):
    text = _thrower(depth)
    for k in {0, depth // 2, depth - 1}:
        # Caught `k` levels in, so the additions of the levels outside follow.
        assert run(text, k) == 10 * k + k
    assert run(text, depth) == 5 + depth


@every_strategy
def test_handlers_in_every_strategy(strategy):
    with only(strategy):
        assert run(_thrower(3), 1) == 11
        assert run(_thrower(3), 9) == 8


@pytest.mark.slow
def test_long_code():
    step = "local.get 0 i32.const 3 i32.mul i32.const 1 i32.add local.set 0 "
    expected = 1
    for _ in range(10_000):
        expected = (expected * 3 + 1) % 2**32
    assert run(function(step * 10_000 + "local.get 0"), 1) == expected - (expected >> 31 << 32)


@pytest.mark.slow
def test_deep_expressions():
    left = "local.get 0 " + "i32.const 3 i32.mul local.get 0 i32.add " * 20_000
    assert run(function(left), 0) == 0
    right = "local.get 0 " * 20_000 + "i32.add " * 19_999
    assert run(function(right), 1) == 20_000
    loads = "i32.const 0 " + "i32.load8_u " * 5_000
    text = f'(module (memory 1) (func (export "f") (param i32) (result i32) {loads}))'
    assert run(text, 0) == 0


@pytest.mark.slow
def test_big_branch_tables():
    count = 10_000
    labels = " ".join(map(str, range(count)))
    head = "block " * count + f"local.get 0 br_table {labels} 0 "
    text = function(head + f"end {COUNT}" * count + "local.get 1")
    assert run(text, 9_000) == 1_000
    assert run(text, -1) == count
    alternating = " ".join(str(k % 2) for k in range(count))
    body = f"""block block local.get 0 br_table {alternating} 0 end
        i32.const 5 return end i32.const 6"""
    assert [run(function(body), k) for k in (0, 1, 9_999, 10_000)] == [5, 6, 6, 5]


def test_many_locals_parameters_and_results():
    chain = " ".join(f"local.get {k} i64.const 1 i64.add local.set {k + 1}" for k in range(1, 1000))
    assert run(function(f"{chain} local.get 1000 i32.wrap_i64", "i64 " * 1000), 0) == 999
    last = "i64.const 5 local.set 48999 local.get 48999 i32.wrap_i64"
    assert run(function(last, "i64 " * 49_000), 0) == 5
    numbers = " ".join(f"i32.const {k}" for k in range(600))
    text = f"""(module
        (func $g (param {"i32 " * 600}) (result {"i32 " * 600})
            {" ".join(f"local.get {k}" for k in range(600))})
        (func (export "f") (param i32) (result i32)
            {numbers} call $g {"i32.add " * 599}))"""
    assert run(text, 0) == sum(range(600))


def test_stack_overflow_is_a_trap_and_can_happen_again():
    text = """(module
        (func $f (export "f") (param i32) (result i32)
            (i32.add (call $f (local.get 0)) (i32.const 1))))"""
    store: Store[None] = Store(ENGINE)
    func = Instance.new(store, Module(ENGINE, text), []).get_func(store, "f")
    assert func is not None
    for _ in range(2):
        with pytest.raises(Trap) as caught:
            func.call(store, 0)
        assert caught.value.code is TrapCode.STACK_OVERFLOW


@pytest.mark.slow
def test_overflow_while_translating():
    """A chain so long that the stack runs out in functions that are called the first time."""
    count = 10_000
    chain = "".join(f"(func $f{k} (result i32) call $f{k + 1})" for k in range(count))
    text = f"""(module {chain} (func $f{count} (result i32) i32.const 9)
        (func (export "f") (param i32) (result i32)
            (if (result i32) (local.get 0) (then (call $f0)) (else (call $f9990)))))"""
    store: Store[None] = Store(ENGINE)
    func = Instance.new(store, Module(ENGINE, text), []).get_func(store, "f")
    assert func is not None
    with pytest.raises(Trap) as caught:
        func.call(store, 1)
    assert caught.value.code is TrapCode.STACK_OVERFLOW
    assert func.call(store, 0) == 9
