"""A component and its first call.

Prints:

    Hello, WebAssembly!
"""

from asyncwasm import Engine, Store
from asyncwasm.component import Component, Linker

# --8<-- [start:guest]
GUEST = """
(component
  (core module $code
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $free)
      (global.set $free (i32.add (global.get $free) (local.get 3))))
    (data (i32.const 16) "Hello, ")
    (func (export "greet") (param $name i32) (param $length i32) (result i32)
      ;; "Hello, ", the name and "!" one after the other, from 32 on
      (memory.copy (i32.const 32) (i32.const 16) (i32.const 7))
      (memory.copy (i32.const 39) (local.get $name) (local.get $length))
      (i32.store8 (i32.add (i32.const 39) (local.get $length)) (i32.const 33))
      ;; and the result, a pointer and a length, at 0
      (i32.store (i32.const 0) (i32.const 32))
      (i32.store (i32.const 4) (i32.add (local.get $length) (i32.const 8)))
      (i32.const 0)))
  (core instance $code (instantiate $code))
  (func (export "greet") (param "name" string) (result string)
    (canon lift (core func $code "greet")
      (memory (core memory $code "memory")) (realloc (core func $code "realloc")))))
"""
# --8<-- [end:guest]

# --8<-- [start:call]
engine = Engine()
component = Component(engine, GUEST)

store = Store(engine)
instance = Linker(engine).instantiate(store, component)
greet = instance.get_func(store, "greet")
print(greet.call(store, "WebAssembly"))
# --8<-- [end:call]
