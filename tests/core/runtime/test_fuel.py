"""Fuel: what code costs, and yielding by fuel."""

from __future__ import annotations

import pytest

from asyncwasm import (
    Caller,
    Config,
    Engine,
    Func,
    Instance,
    Module,
    Store,
    Trap,
    TrapCode,
    UsageError,
)

LOOP = '(module (func (export "spin") (loop (br 0))))'


@pytest.fixture(params=["interpreter", "native"])
def store(request) -> Store:
    if request.param == "native":
        pytest.importorskip("llvmlite")
    # Compiling takes long enough for the event loop to be given turns beside those for fuel.
    config = Config(strategy=request.param, consume_fuel=True, preemption_interval=None)
    return Store(Engine(config))


@pytest.mark.parametrize(
    ("module", "cost"),
    [
        ("(module)", 0),
        ("(module (func $f) (start $f))", 3),
        ("(module (func $f i32.const 0 drop) (start $f))", 4),
        ("(module (func $f block end) (start $f))", 3),
        ("(module (func $f return i32.const 0 drop) (start $f))", 3),
        ("(module (func $f i32.const 0 if call $f end) (start $f))", 5),
        (
            "(module (func $f i32.const 1 if i32.const 0 drop else call $f end) (start $f))",
            6,
        ),
        ("(module (func $g) (func $f call $g) (start $f))", 5),
        (
            "(module (func $g (param i32)) (func $f i32.const 0 call $g i32.const 0 drop)"
            " (start $f))",
            7,
        ),
        (
            "(module (table 1 funcref) (elem (i32.const 0) $g) (func $g)"
            " (func $f i32.const 0 call_indirect) (start $f))",
            6,
        ),
        (
            "(module (func $f (local i32) i32.const 10 local.set 0"
            " loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end) (start $f))",
            55,
        ),
        (
            "(module (memory 1) (func $f i32.const 0 i32.const 0 i32.const 100 memory.fill)"
            " (start $f))",
            107,
        ),
        (
            '(module (memory 1) (data $d "01234567890123456789") (func $f i32.const 0 i32.const 0'
            " i32.const 20 memory.init $d) (start $f))",
            27,
        ),
        (
            "(module (table 0 funcref) (func $f ref.null func i32.const 100 table.grow drop)"
            " (start $f))",
            106,
        ),
        (
            "(module (type $a (array (mut i32))) (global $g (ref $a) (array.new_default $a"
            " (i32.const 100))) (func $f global.get $g i32.const 0 global.get $g i32.const 0"
            " i32.const 100 array.copy $a $a) (start $f))",
            211,
        ),
        (
            "(module (type $a (array (mut i32))) (func $f i32.const 100 array.new_default $a drop)"
            " (start $f))",
            105,
        ),
    ],
)
def test_what_instantiating_costs(store: Store, module: str, cost: int):
    store.set_fuel(1000)
    Instance.new(store, Module(store.engine, module))
    assert 1000 - store.get_fuel() == cost


def test_code_that_traps_is_charged_up_to_the_trap(store: Store):
    store.set_fuel(1000)
    text = (
        "(module (func $f i32.const 0 i32.const 0 i32.const 0 i32.const 0 i32.const 0"
        " i32.const 0 unreachable) (start $f))"
    )
    with pytest.raises(Trap):
        Instance.new(store, Module(store.engine, text))
    assert 1000 - store.get_fuel() == 9


def test_a_fresh_store_has_none(store: Store):
    instance = Instance.new(store, Module(store.engine, LOOP))
    with pytest.raises(Trap) as caught:
        instance.get_func(store, "spin").call(store)
    assert caught.value.code is TrapCode.OUT_OF_FUEL


def test_running_out_leaves_nothing_below_zero(store: Store):
    instance = Instance.new(store, Module(store.engine, LOOP))
    store.set_fuel(10_000)
    with pytest.raises(Trap) as caught:
        instance.get_func(store, "spin").call(store)
    assert caught.value.code is TrapCode.OUT_OF_FUEL
    assert store.get_fuel() == 0


def test_a_host_function_sees_what_is_left(store: Store):
    seen = []
    f = Func.wrap(store, lambda: seen.append(store.get_fuel()))
    module = Module(store.engine, '(module (import "" "" (func)) (func (export "run") call 0))')
    instance = Instance.new(store, module, [f])
    store.set_fuel(1000)
    instance.get_func(store, "run").call(store)
    assert seen == [998]


def test_a_host_function_may_refuel(store: Store):
    def refuel(caller: Caller) -> None:
        caller.set_fuel(500)

    f = Func.wrap(store, refuel)
    module = Module(store.engine, '(module (import "" "" (func)) (func (export "run") call 0))')
    instance = Instance.new(store, module, [f])
    store.set_fuel(2 + 1)
    instance.get_func(store, "run").call(store)
    assert store.get_fuel() == 500


def test_an_interval_yields_so_many_times(store: Store):
    """Fuel 10 000 in intervals of 100 gives the loop 99 turns, then traps."""
    module = Module(store.engine, LOOP)
    instance = Instance.new(store, module)
    store.set_fuel(10_000)
    store.fuel_async_yield_interval(100)
    turns = _drive(instance.get_func(store, "spin").call_async(store))
    assert turns == 99


def _drive(call) -> int:
    import asyncio

    async def main() -> int:
        turns = 0
        done = False

        async def count() -> None:
            nonlocal turns
            while not done:
                turns += 1
                await asyncio.sleep(0)

        counter = asyncio.ensure_future(count())
        await asyncio.sleep(0)
        before = turns
        with pytest.raises(Trap) as caught:
            await call
        assert caught.value.code is TrapCode.OUT_OF_FUEL
        done = True
        await counter
        # The call itself is a checkpoint before it starts.
        return turns - before - 1

    return asyncio.run(main())


@pytest.mark.anyio
async def test_fuel_may_be_added_while_a_call_is_suspended():
    import anyio

    store = Store(Engine(Config(consume_fuel=True)))
    instance = Instance.new(store, Module(store.engine, LOOP))
    store.set_fuel(1000)
    store.fuel_async_yield_interval(100)
    refuels = 0

    async def refuel() -> None:
        nonlocal refuels
        while refuels < 20:
            refuels += 1
            store.set_fuel(store.get_fuel() + 200)
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(refuel)
        with pytest.raises(Trap):
            await instance.get_func(store, "spin").call_async(store)
    assert refuels == 20
    assert store.get_fuel() == 0


def test_without_the_option_fuel_is_refused():
    store = Store(Engine())
    for operation in (
        lambda: store.set_fuel(1),
        store.get_fuel,
        lambda: store.fuel_async_yield_interval(1),
    ):
        with pytest.raises(UsageError, match="^fuel is not configured in this store$"):
            operation()


def test_an_interval_of_zero_is_refused(store: Store):
    with pytest.raises(ValueError, match="^fuel_async_yield_interval must not be 0$"):
        store.fuel_async_yield_interval(0)
