"""Values of components in Python: one example for each type.

Prints:

    every type came back as it should
"""

import enum
import math
from dataclasses import dataclass

from asyncwasm import Config, Engine, Store
from asyncwasm.component import Component, Err, Linker, Ok, Some

engine = Engine()


def component(ty: str, **types: str) -> Component:
    """A component with a function that gives back its argument, of a type in the text format.

    The `types` are definitions that the component exports.
    """
    definitions = [f'(type ${n}0 {t}) (export ${n} "{n}" (type ${n}0))' for n, t in types.items()]
    # With so many parts the argument is passed as a pointer, and can be returned as it came.
    many = f"(tuple {ty} {'u64 ' * 17})"
    return Component(
        engine,
        f"""(component
          (core module $code
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 8))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
              (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7))
                (i32.const -8)))
              (global.get $free)
              (global.set $free (i32.add (global.get $free) (local.get 3))))
            (func (export "echo") (param i32) (result i32) (local.get 0)))
          (core instance $code (instantiate $code))
          {" ".join(definitions)}
          (func (export "echo") (param "value" {many}) (result {many})
            (canon lift (core func $code "echo")
              (memory (core memory $code "memory")) (realloc (core func $code "realloc")))))""",
    )


def echo(source: str | Component, value: object) -> object:
    """`value`, after it has been in a component and come back."""
    found = component(source) if isinstance(source, str) else source
    store = Store(engine)
    func = Linker(engine).instantiate(store, found).get_func(store, "echo")
    return func.call(store, (value, *range(17)))[0]


# --8<-- [start:bool]
assert echo("bool", True) is True
# --8<-- [end:bool]

# --8<-- [start:integers]
assert echo("u8", 255) == 255
assert echo("s64", -(2**63)) == -(2**63)
try:
    echo("u8", 256)
except OverflowError as error:
    message = str(error)
assert "256" in message
# --8<-- [end:integers]

# --8<-- [start:floats]
assert echo("f64", 0.1) == 0.1
assert echo("f64", 3) == 3.0  # an int will do
assert echo("f32", 0.1) != 0.1  # the nearest single is another number
assert math.isnan(echo("f32", math.nan))  # a component sees one NaN only
# --8<-- [end:floats]

# --8<-- [start:text]
assert echo("char", "é") == "é"
assert echo("string", "naïve 🦀") == "naïve 🦀"
# --8<-- [end:text]

# --8<-- [start:list]
assert echo("(list string)", ["a", "b"]) == ["a", "b"]
assert echo("(list u32)", range(3)) == [0, 1, 2]  # any sequence, buffers too
# --8<-- [end:list]

# --8<-- [start:bytes]
assert echo("(list u8)", b"\x00\xff") == b"\x00\xff"
assert echo("(list u8)", memoryview(b"ab")) == b"ab"
# --8<-- [end:bytes]

# --8<-- [start:tuple]
assert echo("(tuple u8 string)", (1, "a")) == (1, "a")
# --8<-- [end:tuple]

# --8<-- [start:record]
person = component("$person", person='(record (field "full-name" string) (field "age" u8))')
Person = person.classes["person"]

ada = echo(person, Person(full_name="Ada", age=36))
assert ada == Person("Ada", 36)
assert ada.full_name == "Ada"
assert echo(person, {"full-name": "Ada", "age": 36}) == ada  # a mapping


@dataclass
class Mine:
    full_name: str
    age: int


assert echo(person, Mine("Ada", 36)) == ada  # or any object with the attributes
# --8<-- [end:record]

# --8<-- [start:variant]
shape = component("$shape", shape='(variant (case "circle" f64) (case "empty"))')
Shape = shape.classes["shape"]

match echo(shape, Shape.Circle(0.5)):
    case Shape.Circle(radius):
        assert radius == 0.5
    case Shape.Empty():
        raise AssertionError
assert echo(shape, Shape.Empty()) == Shape.Empty()
# --8<-- [end:variant]

# --8<-- [start:enum]
level = component("$level", level='(enum "low" "very-high")')
Level = level.classes["level"]

assert echo(level, Level.VERY_HIGH) is Level.VERY_HIGH
assert issubclass(Level, enum.Enum)
assert echo(level, "low") is Level.LOW  # the label will do
# --8<-- [end:enum]

# --8<-- [start:flags]
rights = component("$rights", rights='(flags "read" "write" "execute")')
Rights = rights.classes["rights"]

assert echo(rights, Rights.READ | Rights.WRITE) == Rights.READ | Rights.WRITE
assert Rights.READ in echo(rights, {"read", "execute"})  # a set of labels will do
# --8<-- [end:flags]

# --8<-- [start:option]
assert echo("(option u8)", 7) == 7
assert echo("(option u8)", None) is None
# An option of an option needs a difference between none and "some none".
assert echo("(option (option u8))", Some(None)) == Some(None)
assert echo("(option (option u8))", None) is None
# --8<-- [end:option]

# --8<-- [start:result]
assert echo("(result u8 (error string))", Ok(1)) == Ok(1)
assert echo("(result u8 (error string))", Err("no")) == Err("no")
assert echo("(result)", Ok()) == Ok()
# --8<-- [end:result]

# --8<-- [start:map]
engine = Engine(Config(wasm_component_model_map=True, wasm_component_model_fixed_length_lists=True))
assert echo("(map string u8)", {"a": 1, "b": 2}) == {"a": 1, "b": 2}
assert echo("(list u16 3)", [1, 2, 3]) == [1, 2, 3]
# --8<-- [end:map]

print("every type came back as it should")
