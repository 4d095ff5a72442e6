"""A plugin whose imports are coroutine functions of the host.

Prints:

    [alice] fetching epic
    [bob] fetching poem
    [bob] poem is now THE FOG COMES
    [alice] epic is now SING, GODDESS, THE ANGER
    [carol] fetching novel
    no such note: novel
"""

import sys

import anyio

from asyncwasm import Caller, ComponentError, Engine, Store
from asyncwasm.component import Component, Linker

# --8<-- [start:guest]
PLUGIN = """
(component $shout
  (import "notes" (instance $notes
    (export "fetch" (func (param "name" string) (result (result string (error string)))))
    (export "save" (func (param "name" string) (param "text" string)))))

  (core module $libc
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $free)
      (global.set $free (i32.add (global.get $free) (local.get 3)))))
  (core instance $libc (instantiate $libc))
  (core func $fetch (canon lower (func $notes "fetch")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $save (canon lower (func $notes "save") (memory (core memory $libc "memory"))))

  (core module $code
    (import "libc" "memory" (memory 1))
    (import "notes" "fetch" (func $fetch (param i32 i32 i32)))
    (import "notes" "save" (func $save (param i32 i32 i32 i32)))
    (func $upper (param $at i32) (param $end i32)
      (loop $next
        (if (i32.lt_u (local.get $at) (local.get $end)) (then
          (if (i32.lt_u (i32.sub (i32.load8_u (local.get $at)) (i32.const 97)) (i32.const 26))
            (then (i32.store8 (local.get $at)
              (i32.sub (i32.load8_u (local.get $at)) (i32.const 32)))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next)))))
    (func (export "run") (param $name i32) (param $length i32) (result i32)
      (local $text i32) (local $size i32)
      ;; at 0: whether it failed; at 4 and 8: where the text or the message is, how long it is
      (call $fetch (local.get $name) (local.get $length) (i32.const 0))
      (local.set $text (i32.load (i32.const 4)))
      (local.set $size (i32.load (i32.const 8)))
      (if (i32.eqz (i32.load8_u (i32.const 0))) (then
        (call $upper (local.get $text) (i32.add (local.get $text) (local.get $size)))
        (call $save (local.get $name) (local.get $length) (local.get $text) (local.get $size))
        ;; the result has the same layout: a number instead of a text, or the same message
        (i32.store (i32.const 4) (local.get $size))))
      (i32.const 0)))
  (core instance $code (instantiate $code
    (with "libc" (instance $libc))
    (with "notes" (instance (export "fetch" (func $fetch)) (export "save" (func $save))))))

  (func (export "run") (param "name" string) (result (result u32 (error string)))
    (canon lift (core func $code "run")
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
"""
# --8<-- [end:guest]

# --8<-- [start:host]
NOTES = {"poem": "The fog comes", "epic": "Sing, goddess, the anger"}


async def fetch(caller: Caller[str], name: str) -> str:
    print(f"[{caller.data}] fetching {name}")
    # A database, a file, another service …
    await anyio.sleep(0.5 if name == "epic" else 0.01)
    if name not in NOTES:
        raise ComponentError(f"no such note: {name}")
    return NOTES[name]


async def save(caller: Caller[str], name: str, text: str) -> None:
    await anyio.sleep(0.01)
    print(f"[{caller.data}] {name} is now {text}")


# --8<-- [end:host]

# --8<-- [start:main]
engine = Engine()
linker = Linker(engine)
notes = linker.instance("notes")
notes.func_wrap_async("fetch", fetch)
notes.func_wrap_async("save", save)
plugin = linker.instantiate_pre(Component(engine, PLUGIN))


async def run(user: str, name: str) -> int:
    store = Store(engine, user)
    instance = await plugin.instantiate_async(store)
    return await instance.get_func(store, "run").call_async(store, name)


async def main() -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, "alice", "epic")
        await anyio.sleep(0.1)
        tasks.start_soon(run, "bob", "poem")
    try:
        await run("carol", "novel")
    except ComponentError as error:
        print(error.payload)


# --8<-- [end:main]
anyio.run(main, backend=sys.argv[1] if len(sys.argv) > 1 else "trio")
