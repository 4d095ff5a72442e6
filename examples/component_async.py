"""A component whose imports are coroutine functions, with a resource that the host implements.

Prints:

    opened notes
    closed notes
    notes: 3 lines
    gave up after a while
"""

import sys

import anyio

from asyncwasm import Engine, Store
from asyncwasm.component import Component, Linker, Resource, ResourceTable, ResourceType

GUEST = """
(component
  (import "files" (instance $files
    (export "file" (type $file (sub resource)))
    (export "open" (func (param "name" string) (result (own $file))))
    (export "lines" (func (param "file" (borrow $file)) (result u32)))))
  (alias export $files "file" (type $file))
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $libc (instantiate $libc))
  (core func $open (canon lower (func $files "open") (memory (core memory $libc "memory"))))
  (core func $lines (canon lower (func $files "lines")))
  (core func $drop (canon resource.drop $file))
  (core module $m
    (import "" "open" (func $open (param i32 i32) (result i32)))
    (import "" "lines" (func $lines (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "count") (param $at i32) (param $length i32) (result i32)
      (local $file i32) (local $count i32)
      (local.set $file (call $open (local.get $at) (local.get $length)))
      (local.set $count (call $lines (local.get $file)))
      (call $drop (local.get $file))
      (local.get $count)))
  (core instance $i (instantiate $m (with "" (instance
    (export "open" (func $open)) (export "lines" (func $lines)) (export "drop" (func $drop))))))
  (func (export "count") (param "name" string) (result u32)
    (canon lift (core func $i "count")
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
"""


class File:
    def __init__(self, name, text):
        self.name, self.text = name, text


async def main():
    engine = Engine()
    table = ResourceTable()

    async def open_file(name):
        await anyio.sleep(60 if name == "slow" else 0.001)
        print("opened", name)
        return table.push(File(name, "to\ndo\nlist\n"))

    async def lines(file):
        await anyio.sleep(0.001)
        return len(table.get(file).text.splitlines())

    async def close(rep):
        file = table.delete(Resource.new_own(rep))
        print("closed", file.name)

    linker = Linker(engine)
    files = linker.instance("files")
    files.resource_async("file", ResourceType.host(File), close)
    files.func_wrap_async("open", open_file)
    files.func_wrap_async("lines", lines)

    store = Store(engine)
    instance = await linker.instantiate_async(store, Component(engine, GUEST))
    count = instance.get_func(store, "count")
    print("notes:", await count.call_async(store, "notes"), "lines")

    with anyio.move_on_after(0.05) as scope:
        await count.call_async(store, "slow")
    if scope.cancelled_caught:
        print("gave up after a while")


anyio.run(main, backend=sys.argv[1] if len(sys.argv) > 1 else "trio")
