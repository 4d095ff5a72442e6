"""Modules: loading, describing, serializing."""

from __future__ import annotations

import pickle

import pytest

from asyncwasm import (
    Config,
    Engine,
    Instance,
    MalformedError,
    Module,
    Store,
    UsageError,
    ValidationError,
)
from asyncwasm.core.types import ExternFunc, MemoryType

TEXT = (
    '(module $name (import "m" "n" (func)) (import "m" "n" (func)) (memory (export "mem") 2 3)'
    ' (table 5 funcref) (func (export "run") (result i32) i32.const 7)'
    ' (@custom "extra" "bytes"))'
)
RUN = '(module (func (export "run") (result i32) i32.const 7))'


@pytest.fixture
def engine() -> Engine:
    return Engine()


def test_description(engine: Engine):
    module = Module(engine, TEXT)
    assert module.name == "name"
    assert [(i.module, i.name) for i in module.imports] == [("m", "n"), ("m", "n")]
    assert [e.name for e in module.exports] == ["mem", "run"]
    assert isinstance(module.get_export("mem"), MemoryType)
    assert isinstance(module.get_export("run"), ExternFunc)
    assert module.get_export("nothing") is None
    assert module.custom_sections("extra") == [b"bytes"]
    required = module.resources_required()
    assert (required.num_memories, required.max_initial_memory_size) == (1, 2)
    assert (required.num_tables, required.max_initial_table_size) == (1, 5)


def test_text_and_binary_from_a_file(engine: Engine, tmp_path):
    text, binary = tmp_path / "m.wat", tmp_path / "m.wasm"
    text.write_text(RUN)
    module = Module.from_file(engine, text)
    binary.write_bytes(module.info.data)
    for loaded in (module, Module.from_file(engine, binary)):
        store = Store(engine)
        assert Instance.new(store, loaded).get_func(store, "run").call(store) == 7
    with pytest.raises(MalformedError):
        Module.from_binary(engine, RUN.encode())


@pytest.mark.parametrize("bad", [b"", b"\0asm", b"\0asm\2\0\0\0", "(module", b"garbage", "(func"])
def test_what_is_no_module(engine: Engine, bad: bytes | str):
    with pytest.raises(MalformedError):
        Module(engine, bad)


def test_bodies_are_validated_at_once_or_before_their_first_call():
    text = (
        '(module (func (export "bad") (result i32) i64.const 1)'
        ' (func (export "good") (result i32) i32.const 7))'
    )
    with pytest.raises(ValidationError):
        Module(Engine(), text)
    with pytest.raises(ValidationError):
        Module.validate(Engine(), text)
    engine = Engine(Config(lazy_validation=True))
    module = Module(engine, text)
    store = Store(engine)
    instance = Instance.new(store, module)
    assert instance.get_func(store, "good").call(store) == 7
    for _ in range(2):
        with pytest.raises(ValidationError):
            instance.get_func(store, "bad").call(store)
    with pytest.raises(ValidationError):
        module.validate_bodies()
    with pytest.raises(ValidationError):
        module.serialize()


def test_serialized_modules_load_again(engine: Engine):
    data = engine.precompile_module(RUN)
    assert Engine.detect_precompiled(data) == "module"
    assert Engine.detect_precompiled(b"\0asm\1\0\0\0") is None
    store = Store(engine)
    module = Module.deserialize(engine, data)
    assert Instance.new(store, module).get_func(store, "run").call(store) == 7


def test_serialized_modules_that_do_not_fit(engine: Engine):
    data = Module(engine, RUN).serialize()
    with pytest.raises(MalformedError, match="damaged"):
        Module.deserialize(engine, data[:-1] + b"!")
    with pytest.raises(MalformedError, match="not a serialized module"):
        Module.deserialize(engine, b"\0asm\1\0\0\0")
    with pytest.raises(UsageError, match="wasm_gc"):
        Module.deserialize(Engine(Config(wasm_gc=False)), data)


def test_modules_and_engines_are_picklable(engine: Engine):
    module = Module(engine, RUN)
    copy = pickle.loads(pickle.dumps(module))
    assert copy.engine is engine
    store = Store(engine)
    assert Instance.new(store, copy).get_func(store, "run").call(store) == 7
    assert pickle.loads(pickle.dumps(engine.config)) == engine.config


def test_an_engine_elsewhere_is_one_engine_for_all_its_modules():
    engine = Engine()
    first, second = pickle.dumps(Module(engine, RUN)), pickle.dumps(Module(engine, "(module)"))
    del engine
    loaded = [pickle.loads(data) for data in (first, second)]
    assert loaded[0].engine is loaded[1].engine


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"strategy": "magic"}, "unknown strategy"),
        ({"preemption_interval": 0}, "preemption_interval must be positive"),
        ({"max_wasm_stack": 0}, "max_wasm_stack size cannot be zero"),
        ({"async_support": "yes"}, "async_support"),
        ({"wasm_simd": False}, "`wasm_relaxed_simd` requires `wasm_simd`"),
    ],
)
def test_a_configuration_that_cannot_be(options: dict, text: str):
    with pytest.raises(ValueError, match=text):
        Config(**options)
