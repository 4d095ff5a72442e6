"""Tutorial, part 1: a first guest, called synchronously.

Prints:

    27 needs 111 steps to reach 1
    a negative number never gets there: wasm trap: integer overflow
"""

# --8<-- [start:guest]
from asyncwasm import Engine, Instance, Module, Store, Trap

COLLATZ = """
(module
  ;; Halve even numbers, triple odd ones and add one: how many steps until 1?
  (func (export "steps") (param $n i64) (result i32)
    (local $steps i32)
    (if (i64.lt_s (local.get $n) (i64.const 1))
      ;; INT_MIN / -1 overflows, which traps: this guest's way to say no
      (then (drop (i64.div_s (i64.const 0x8000000000000000) (i64.const -1)))))
    (block $done
      (loop $next
        (br_if $done (i64.eq (local.get $n) (i64.const 1)))
        (local.set $n
          (if (result i64) (i64.eqz (i64.and (local.get $n) (i64.const 1)))
            (then (i64.shr_u (local.get $n) (i64.const 1)))
            (else (i64.add (i64.mul (local.get $n) (i64.const 3)) (i64.const 1)))))
        (local.set $steps (i32.add (local.get $steps) (i32.const 1)))
        (br $next)))
    (local.get $steps)))
"""
# --8<-- [end:guest]

# --8<-- [start:call]
engine = Engine()
module = Module(engine, COLLATZ)  # parsed and validated here
store = Store(engine)  # what an instance owns lives here
instance = Instance.new(store, module, [])
steps = instance.get_func(store, "steps")
print("27 needs", steps.call(store, 27), "steps to reach 1")
# --8<-- [end:call]

# --8<-- [start:trap]
try:
    steps.call(store, -5)
except Trap as trap:
    print("a negative number never gets there:", trap)
# --8<-- [end:trap]
