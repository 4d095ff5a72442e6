"""Tutorial, part 4: stop a guest.

Prints:

    no answer within 0.2 seconds
    cancelled with its task group
    the store still works: 111
"""

import anyio

from asyncwasm import Engine, Instance, Module, Store

# --8<-- [start:guest]
SLOW = """
(module
  (func (export "forever") (loop (br 0)))
  (func (export "answer") (result i32) (i32.const 111)))
"""
# --8<-- [end:guest]


# --8<-- [start:main]
async def main() -> None:
    engine = Engine()
    store = Store(engine)
    instance = await Instance.new_async(store, Module(engine, SLOW))
    forever = instance.get_func(store, "forever")

    try:
        with anyio.fail_after(0.2):
            await forever.call_async(store)
    except TimeoutError:
        print("no answer within 0.2 seconds")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(forever.call_async, store)
        await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    print("cancelled with its task group")

    answer = instance.get_func(store, "answer")
    print("the store still works:", await answer.call_async(store))


anyio.run(main)
# --8<-- [end:main]
