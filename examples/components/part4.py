"""Plugins that fail: with an error of their own, with a trap, or by never coming back.

Prints:

    an error of its own: not today
    and the store is as good as before: 42
    a trap: unreachable
    then nothing of the store can be called: cannot enter component instance
    a new store takes no time: 42
    out of time: True
    the store of that call is done: cannot enter component instance
"""

import sys

import anyio

from asyncwasm import ComponentError, Engine, Store, Trap
from asyncwasm.component import Component, Linker

PLUGIN = """
(component
  (core module $code
    (memory (export "memory") 1)
    (data (i32.const 16) "not today")
    (data (i32.const 32) "\\01\\00\\00\\00\\10\\00\\00\\00\\09\\00\\00\\00")
    (func (export "answer") (result i32) (i32.const 42))
    (func (export "refuse") (result i32) (i32.const 32))
    (func (export "crash") unreachable)
    (func (export "hang") (loop $for-ever (br $for-ever))))
  (core instance $code (instantiate $code))
  (func (export "answer") (result u32) (canon lift (core func $code "answer")))
  (func (export "refuse") (result (result u32 (error string)))
    (canon lift (core func $code "refuse") (memory (core memory $code "memory"))))
  (func (export "crash") (canon lift (core func $code "crash")))
  (func (export "hang") (canon lift (core func $code "hang"))))
"""

# --8<-- [start:call]
engine = Engine()
plugin = Linker(engine).instantiate_pre(Component(engine, PLUGIN))


async def call(store: Store, name: str) -> object:
    instance = await plugin.instantiate_async(store)
    return await instance.get_func(store, name).call_async(store)


# --8<-- [end:call]


# --8<-- [start:main]
async def main() -> None:
    store = Store(engine)
    try:
        await call(store, "refuse")
    except ComponentError as error:
        print("an error of its own:", error.payload)
    print("and the store is as good as before:", await call(store, "answer"))

    try:
        await call(store, "crash")
    except Trap as trap:
        print("a trap:", trap.message)
    try:
        await call(store, "answer")
    except Trap as trap:
        print("then nothing of the store can be called:", trap.message)
    print("a new store takes no time:", await call(Store(engine), "answer"))

    store = Store(engine)
    with anyio.move_on_after(0.05) as scope:
        await call(store, "hang")
    print("out of time:", scope.cancelled_caught)
    try:
        await call(store, "answer")
    except Trap as trap:
        print("the store of that call is done:", trap.message)


# --8<-- [end:main]
anyio.run(main, backend=sys.argv[1] if len(sys.argv) > 1 else "trio")
