"""A guest that never returns, ended by a deadline while everything else runs on.

Prints:

    the guest was stopped
    the heartbeat kept going
    the next call still works: 5
"""

import sys

import anyio

from asyncwasm import Engine, Instance, Module, Store

GUEST = """
(module
  (func (export "spin") (loop (br 0)))
  (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1))))
"""


# --8<-- [start:main]
async def main() -> None:
    engine = Engine()
    store = Store(engine)
    instance = await Instance.new_async(store, Module(engine, GUEST))
    spin = instance.get_func(store, "spin")
    beats = 0

    async def heartbeat() -> None:
        nonlocal beats
        while True:
            await anyio.sleep(0.01)
            beats += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heartbeat)
        with anyio.move_on_after(1) as deadline:
            await spin.call_async(store)
        tasks.cancel_scope.cancel()

    if deadline.cancelled_caught:
        print("the guest was stopped")
    if beats >= 5:
        print("the heartbeat kept going")
    add = instance.get_func(store, "add")
    print("the next call still works:", await add.call_async(store, 2, 3))


# --8<-- [end:main]

if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[1] if len(sys.argv) > 1 else "trio")
