"""An async host function behind an ordinary WebAssembly import, on trio and on asyncio.

Prints:

    the guest says 42
    the guest says 42
"""

# --8<-- [start:program]
import asyncio

import anyio
import trio

from asyncwasm import Engine, Func, Instance, Module, Store

GUEST = """(module (import "host" "sleep" (func $sleep (param f64)))
  (func (export "run") (param i32) (result i32)
    (call $sleep (f64.const 0.1)) (i32.mul (local.get 0) (i32.const 2))))"""


async def sleep(seconds: float) -> None:
    await anyio.sleep(seconds)


async def main() -> None:
    store = Store(engine := Engine())
    module = Module(engine, GUEST)
    instance = await Instance.new_async(store, module, [Func.wrap_async(store, sleep)])
    run = instance.get_func(store, "run")
    print("the guest says", await run.call_async(store, 21))


trio.run(main)
asyncio.run(main())
# --8<-- [end:program]
