"""Loops that check every so many turns: that they end, and what they see afterwards."""

from __future__ import annotations

import threading

import anyio
import pytest

from asyncwasm import Config, Engine, Func, FuncType, Instance, Module, Store, Trap, TrapCode

pytest.importorskip("llvmlite")

# Loops without end, by what is in them.
ENDLESS = {
    "nothing": "(loop (br 0))",
    "a condition": "(loop (br_if 0 (i32.ne (local.get 0) (i32.const 12345))))",
    "a counter": """(loop (local.set 0 (i32.add (local.get 0) (i32.const 2)))
        (br_if 0 (i32.ne (local.get 0) (i32.const 1))))""",
    "two ways back": """(loop (local.set 0 (i32.add (local.get 0) (i32.const 1)))
        (br_if 0 (i32.and (local.get 0) (i32.const 1))) (br 0))""",
    "a table": """(loop $l (block (br_table 0 $l (local.tee 0 (i32.xor (local.get 0)
        (i32.const 1))))) (br $l))""",
    "memory": """(loop (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
        (br_if 0 (i32.load8_u (i32.const 0))) (br 0))""",
    "floats": """(loop (local.set 1 (f64.add (local.get 1) (f64.const 1)))
        (br_if 0 (f64.ge (local.get 1) (f64.const 0))))""",
    "a loop": """(loop $out (local.set 0 (i32.const 7)) (loop $in
        (br_if $in (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (br $out))""",
    "a parameter": "(i32.const 1) (loop (param i32) (i32.add (i32.const 1)) (br 0)) ",
    "bulk memory": """(loop (memory.fill (i32.const 0) (i32.const 0) (i32.const 65536)) (br 0))""",
    "a call": "(loop (call $leaf) (br 0))",
}


def text(loop: str) -> str:
    return f"""(module (memory 1) (func $leaf)
      (func (export "run") (local i32 f64) {loop}))"""


@pytest.mark.parametrize("opt_level", ["speed", "tiered"])
@pytest.mark.parametrize("loop", ENDLESS)
def test_epochs_end_every_loop(loop: str, opt_level):
    store = Store(Engine(Config(strategy="native", opt_level=opt_level, epoch_interruption=True)))
    run = Instance.new(store, Module(store.engine, text(ENDLESS[loop]))).get_func(store, "run")
    store.set_epoch_deadline(1)
    timer = threading.Timer(0.02, store.engine.increment_epoch)
    timer.start()
    with pytest.raises(Trap) as caught:
        run.call(store)
    timer.join()
    assert caught.value.code is TrapCode.INTERRUPT


@pytest.mark.anyio
@pytest.mark.parametrize("loop", ENDLESS)
async def test_every_loop_can_be_cancelled(loop: str):
    store = Store(Engine(Config(strategy="native", opt_level="speed", preemption_interval=0.001)))
    run = Instance.new(store, Module(store.engine, text(ENDLESS[loop]))).get_func(store, "run")
    with anyio.move_on_after(0.02) as scope:
        await run.call_async(store)
    assert scope.cancelled_caught


# Waits for somebody to set the first word, then reads from what is the second page by then.
WAITING = """(module (memory (export "memory") 1)
  (func (export "run") (result i32)
    (local $value i32)
    (loop $wait (br_if $wait (i32.eqz (i32.load (i32.const 0)))))
    (loop $read
      (local.set $value (i32.add (local.get $value) (i32.load (i32.const 65536))))
      (br_if $read (i32.lt_u (local.get $value) (i32.const 100))))
    (local.get $value)))"""


@pytest.mark.anyio
async def test_memory_that_grew_in_a_check():
    store = Store(Engine(Config(strategy="native", opt_level="speed", preemption_interval=0.001)))
    instance = Instance.new(store, Module(store.engine, WAITING))
    memory = instance.get_memory(store, "memory")
    got = []

    async def run() -> None:
        got.append(await instance.get_func(store, "run").call_async(store))

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.sleep(0.02)
        # What a host function would do, if the guest called one.
        memory.grow_raw(1)
        memory.view[65536] = memory.view[0] = 1
    assert got == [100]


def test_memory_that_grew_in_a_call():
    """In a function of the guest's, in one of the host's, and in the instruction itself."""
    store = Store(Engine(Config(strategy="native", opt_level="speed")))
    text = """(module (import "" "grow" (func $host)) (memory (export "memory") 1)
      (func $grow (drop (memory.grow (i32.const 1))))
      (func (export "run") (param $how i32) (param $new i32) (result i32)
        (drop (i32.load (i32.const 0)))
        (block $done (block $two (block $one (block $zero
          (br_table $zero $one $two (local.get $how)))
          (call $grow) (br $done))
          (call $host) (br $done))
          (drop (memory.grow (i32.const 1))))
        (i32.load (local.get $new))))"""
    grown: list[Instance] = []

    def grow() -> None:
        grown[0].get_memory(store, "memory").grow(store, 1)

    host = Func.new(store, FuncType((), ()), lambda caller: grow())
    instance = Instance.new(store, Module(store.engine, text), [host])
    grown.append(instance)
    run = instance.get_func(store, "run")
    for how in range(3):
        assert run.call(store, how, 65536 * (how + 1)) == 0
    memory = instance.get_memory(store, "memory")
    assert memory.size(store) == 4
