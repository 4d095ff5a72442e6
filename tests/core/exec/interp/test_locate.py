"""The way back: module offsets of frames, and what implicit exceptions mean."""

from __future__ import annotations

import pytest

from asyncwasm import Config, Engine, Func, FuncType, Instance, Module, Store, Trap, TrapCode
from asyncwasm.core.binary.immediates import read_opcode
from asyncwasm.core.types import I32

from .strategies import every_strategy, only

ENGINE = Engine(Config(strategy="interpreter", preemption_interval=None))


def trapped(text: str, *arguments: int, imports: object = ()) -> tuple[Trap, bytes]:
    store: Store[None] = Store(ENGINE)
    module = Module(ENGINE, text)
    func = Instance.new(store, module, list(imports)).get_func(store, "f")
    assert func is not None
    with pytest.raises(Trap) as caught:
        func.call(store, *arguments)
    return caught.value, module.info.data


def names_of(trap: Trap, data: bytes) -> list[str]:
    """The instructions at the frames' offsets, innermost first."""
    found = []
    for frame in trap.frames:
        assert frame.module_offset is not None
        found.append(read_opcode(data, frame.module_offset)[0].name)
    return found


@every_strategy
@pytest.mark.parametrize(
    ("zeros", "expected"),
    [
        ((100_000, 1, 1, 0), "i32.load"),
        ((0, 100_000, 1, 0), "i64.load16_u"),
        ((0, 0, 0, 0), "i32.div_u"),
        ((0, 0, 1, 100_000), "f64.load"),
    ],
)
def test_each_instruction_of_an_expression_has_its_place(zeros, expected, strategy):
    text = """(module (memory 1)
        (func (export "f") (param i32 i32 i32 i32) (result i32)
            (i32.add
                (i32.div_u
                    (i32.add (i32.load (local.get 0))
                        (i32.wrap_i64 (i64.load16_u (local.get 1))))
                    (local.get 2))
                (i32.trunc_sat_f64_u (f64.load (local.get 3))))))"""
    with only(strategy):
        trap, data = trapped(text, *zeros)
    assert names_of(trap, data) == [expected]


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("(i32.load (i32.const -1))", "MEMORY_OUT_OF_BOUNDS", "out of bounds memory access"),
        ("(i32.load8_u (i32.const 65536))", "MEMORY_OUT_OF_BOUNDS", "out of bounds memory access"),
        ("(i32.rem_u (i32.const 1) (local.get 0))", "INTEGER_DIVISION_BY_ZERO", None),
        ("(i32.div_s (i32.const 1) (local.get 0))", "INTEGER_DIVISION_BY_ZERO", None),
        (
            "(i32.div_s (i32.const -2147483648) (i32.sub (local.get 0) (i32.const 1)))",
            "INTEGER_OVERFLOW",
            None,
        ),
        ("(i32.trunc_f64_s (f64.const nan))", "BAD_CONVERSION_TO_INTEGER", None),
        ("(i32.trunc_f32_u (f32.const 1e30))", "INTEGER_OVERFLOW", None),
        ("(call_indirect (result i32) (i32.const 9))", "TABLE_OUT_OF_BOUNDS", "undefined element"),
        (
            "(call_indirect (result i32) (local.get 0))",
            "INDIRECT_CALL_TO_NULL",
            "uninitialized element 0",
        ),
        ("(table.get $t (i32.const 2)) ref.is_null", "TABLE_OUT_OF_BOUNDS", None),
        (
            "(struct.get $s 0 (ref.null $s))",
            "NULL_REFERENCE",
            "null structure reference",
        ),
        ("(array.len (ref.null array))", "NULL_REFERENCE", "null array reference"),
        (
            "(array.get $a (array.new_default $a (i32.const 2)) (i32.const 2))",
            "ARRAY_OUT_OF_BOUNDS",
            "out of bounds array access",
        ),
        ("unreachable", "UNREACHABLE", "unreachable"),
    ],
)
def test_codes_and_messages(body, code, message):
    text = f"""(module (memory 1) (table $t 1 funcref)
        (type $s (struct (field i32))) (type $a (array i32))
        (func (export "f") (param i32) (result i32) {body}))"""
    trap, _ = trapped(text, 0)
    assert trap.code is TrapCode[code]
    if message is not None:
        assert trap.message == message
    assert len(trap.frames) == 1
    assert trap.frames[0].module_offset is not None


def test_backtraces_go_through_calls_and_tail_calls():
    text = """(module
        (func $bottom (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
        (func $tail (param i32) (result i32) (return_call $bottom (local.get 0)))
        (func $middle (param i32) (result i32)
            (i32.add (call $tail (local.get 0)) (i32.const 1)))
        (func $loop (export "f") (param i32) (result i32)
            (loop (result i32) (call $middle (local.get 0)))))"""
    trap, data = trapped(text, 0)
    assert [frame.func_name for frame in trap.frames] == ["bottom", "middle", "loop"]
    assert names_of(trap, data) == ["i32.div_u", "call", "call"]


@pytest.mark.parametrize(
    "error",
    [
        IndexError("host"),
        ZeroDivisionError("host"),
        OverflowError("host"),
        TypeError("host"),
        AttributeError("host"),
        ValueError("host"),
        RecursionError("host"),
    ],
)
@pytest.mark.parametrize("call", ["call $h", "call_indirect (i32.const 0)"])
def test_exceptions_of_host_functions_are_not_the_guests(error, call):
    def fails(caller: object) -> None:
        raise error

    store: Store[None] = Store(ENGINE)
    text = f"""(module (import "" "h" (func $h)) (table funcref (elem $h))
        (func (export "f") ({call})))"""
    host = Func.new(store, FuncType(), fails)
    func = Instance.new(store, Module(ENGINE, text), [host]).get_func(store, "f")
    assert func is not None
    with pytest.raises(type(error)) as caught:
        func.call(store)
    assert caught.value is error


def test_results_of_the_wrong_type_are_the_hosts_mistake():
    store: Store[None] = Store(ENGINE)
    text = """(module (import "" "h" (func $h (result i32)))
        (func (export "f") (result i32) (i32.add (call $h) (i32.const 1))))"""
    host = Func.new(store, FuncType((), (I32,)), lambda caller: "one")
    func = Instance.new(store, Module(ENGINE, text), [host]).get_func(store, "f")
    assert func is not None
    with pytest.raises(TypeError):
        func.call(store)
