"""Native code and what it points to: lifetimes, references, the stack, exceptions."""

from __future__ import annotations

import gc
import sys
import threading
import weakref

import anyio
import anyio.lowlevel
import pytest

from asyncwasm import Config, Engine, Func, FuncType, Instance, Module, Store, Trap, TrapCode
from asyncwasm.core.types import F64, I32, I64, V128
from tests.waiting import cancelled_once_waiting

pytest.importorskip("llvmlite")


@pytest.fixture
def store() -> Store:
    return Store(Engine(Config(strategy="native")))


def made(store: Store, text: str, *imports) -> Instance:
    return Instance.new(store, Module(store.engine, text), imports)


CALLING = """
(module (import "" "host" (func $host (param i32 i64 f64 v128) (result i32)))
  (func (export "run") (param i32) (result i32)
    (call $host (local.get 0) (i64.const 1234567890123) (f64.const 1.5)
      (v128.const i64x2 1 2))))
"""
HOST = FuncType((I32, I64, F64, V128), (I32,))


def growth(body, rounds: int = 2000) -> int:
    """By how many blocks of memory Python grows over so many rounds."""
    for _ in range(200):
        body()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(rounds):
        body()
    gc.collect()
    return sys.getallocatedblocks() - before


def test_crossings_leak_nothing(store: Store):
    run = made(store, CALLING, Func.new(store, HOST, lambda caller, *args: 1000 + args[0]))
    function = run.get_func(store, "run")
    assert growth(lambda: function.call(store, 5)) < 500


def test_exceptions_leak_nothing(store: Store):
    class Oops(Exception):
        pass

    def host(caller, *args):
        raise Oops

    function = made(store, CALLING, Func.new(store, HOST, host)).get_func(store, "run")

    def body():
        with pytest.raises(Oops):
            function.call(store, 5)

    assert growth(body) < 500


def test_traps_leak_nothing(store: Store):
    text = '(func (export "f") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))'
    function = made(store, f"(module {text})").get_func(store, "f")

    def body():
        with pytest.raises(Trap) as caught:
            function.call(store, 0)
        assert caught.value.code is TrapCode.INTEGER_DIVISION_BY_ZERO

    assert growth(body) < 500


def test_stores_and_their_code_are_collected():
    engine = Engine(Config(strategy="native"))
    found = []
    for _ in range(3):
        store = Store(engine)
        module = Module(engine, '(module (func (export "f") (result i32) (i32.const 7)))')
        instance = Instance.new(store, module)
        assert instance.get_func(store, "f").call(store) == 7
        found += [weakref.ref(store), weakref.ref(instance), weakref.ref(module)]
    del store, module, instance
    gc.collect()
    assert [ref() for ref in found] == [None] * 9


def test_an_instance_outlives_its_owner_in_a_table(store: Store):
    """A function that takes itself out of its table while it runs goes on running."""
    first = made(
        store,
        """(module (import "" "drop" (func $drop)) (memory 1)
          (func (export "f") (result i32) (i32.store (i32.const 8) (i32.const 5)) (call $drop)
            (i32.load (i32.const 8))))""",
        Func.wrap(store, lambda: drop()),
    )
    second = made(
        store,
        """(module (table (export "t") 1 funcref)
          (func (export "run") (result i32) (call_indirect (result i32) (i32.const 0))))""",
    )
    table = second.get_table(store, "t")
    function = first.get_func(store, "f")
    table.set(store, 0, function)
    kept = weakref.ref(first)

    def drop() -> None:
        table.set(store, 0, None)
        gc.collect()

    del first, function
    gc.collect()
    run = second.get_func(store, "run")
    assert run.call(store) == 5
    assert kept() is not None
    with pytest.raises(Trap) as caught:
        run.call(store)
    assert caught.value.code is TrapCode.INDIRECT_CALL_TO_NULL


@pytest.mark.anyio
async def test_a_call_dropped_while_suspended_unwinds_native_frames():
    store = Store(Engine(Config(strategy="native")))
    ended = []

    async def host(caller, *args) -> int:
        if not args[0]:
            return 0
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(1)
        return 0

    module = Module(store.engine, CALLING)
    instance = await Instance.new_async(store, module, [Func.new_async(store, HOST, host)])
    function = instance.get_func(store, "run")
    async with cancelled_once_waiting():
        await function.call_async(store, 1)
    assert ended == [1]


@pytest.mark.anyio
async def test_many_fibers_in_native_frames_end_in_any_order():
    engine = Engine(Config(strategy="native"))
    module = Module(engine, CALLING)
    results = {}

    async def one(number: int) -> None:
        store = Store(engine)

        async def host(caller, *args) -> int:
            for _ in range((number * 7) % 5 + 1):
                await anyio.lowlevel.checkpoint()
            return number

        instance = await Instance.new_async(store, module, [Func.new_async(store, HOST, host)])
        results[number] = await instance.get_func(store, "run").call_async(store, 1)

    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(one, number)
    assert results == {n: n for n in range(100)}


RECURSE = """
(module (func $f (export "f") (param i32) (result i32)
  (i32.add (i32.const 1) (call $f (i32.add (local.get 0) (i32.const 1))))))
"""


@pytest.mark.parametrize("size", [128 * 1024, 512 * 1024, 2 << 20])
def test_the_stack_runs_out_on_threads_of_any_size(size: int):
    codes = []

    def run() -> None:
        store = Store(Engine(Config(strategy="native", max_wasm_stack=8 << 20)))
        function = made(store, RECURSE).get_func(store, "f")
        for _ in range(2):
            try:
                function.call(store, 0)
            except Trap as trap:
                codes.append(trap.code)

    before = threading.stack_size(size)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert codes == [TrapCode.STACK_OVERFLOW] * 2


def test_a_store_may_move_to_another_thread(store: Store):
    function = made(store, RECURSE).get_func(store, "f")
    with pytest.raises(Trap):
        function.call(store, 0)
    store.release_thread()
    codes = []

    def run() -> None:
        try:
            function.call(store, 0)
        except Trap as trap:
            codes.append(len(trap.frames))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert codes == [20]


@pytest.mark.anyio
async def test_the_stack_runs_out_on_a_fiber():
    store = Store(Engine(Config(strategy="native")))
    instance = await Instance.new_async(store, Module(store.engine, RECURSE))
    with pytest.raises(Trap) as caught:
        await instance.get_func(store, "f").call_async(store, 0)
    assert caught.value.code is TrapCode.STACK_OVERFLOW


@pytest.mark.parametrize("count", [1000, 3000])
def test_large_frames_do_not_pass_the_limit(count: int):
    """So many live values in one frame, on a small stack."""
    loads = " ".join(f"(i64.load offset={8 * n} (i32.const 0))" for n in range(count))
    mixes = "i64.mul i64.xor " * (count // 2)
    text = f"""(module (memory 1)
      (func $f (export "f") (param i64) (result i64)
        {loads} (call $f (local.get 0)) {mixes}))"""
    codes = []

    def run() -> None:
        store = Store(Engine(Config(strategy="native", max_wasm_stack=8 << 20)))
        try:
            made(store, text).get_func(store, "f").call(store, 1)
        except Trap as trap:
            codes.append(trap.code)

    before = threading.stack_size(1 << 20)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert codes == [TrapCode.STACK_OVERFLOW]


def test_many_parameters_and_results(store: Store):
    count = 300
    params, results = " i32" * count, " i32" * count
    gets = " ".join(f"(local.get {n})" for n in reversed(range(count)))
    text = f"""(module
      (import "" "h" (func $h (param{params}) (result{results})))
      (func $f (param{params}) (result{results}) {gets})
      (func (export "run") (param{params}) (result{results})
        {" ".join(f"(local.get {n})" for n in range(count))} call $f call $h call $f))"""
    ty = FuncType((I32,) * count, (I32,) * count)
    host = Func.new(store, ty, lambda caller, *args: [n + 1 for n in args])
    run = made(store, text, host).get_func(store, "run")
    assert run.call(store, *range(count)) == tuple(n + 1 for n in range(count))


def test_threads_compile_one_module_at_the_same_time():
    engine = Engine(Config(strategy="native"))
    module = Module(engine, '(module (func (export "f") (result i32) (i32.const 7)))')
    results = []

    def run() -> None:
        store = Store(engine)
        results.append(Instance.new(store, module).get_func(store, "f").call(store))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [7] * 8
    assert engine.statistics().functions_compiled == 1


def test_other_threads_run_while_native_code_does(store: Store):
    function = made(
        store,
        """(module (memory (export "m") 1)
          (func (export "f") (loop (br_if 0 (i32.eqz (i32.load (i32.const 0)))))))""",
    )
    memory = function.get_memory(store, "m")
    timer = threading.Timer(0.05, lambda: memory.view.__setitem__(0, 1))
    timer.start()
    function.get_func(store, "f").call(store)
    timer.join()
