"""Machine code in serialized modules: complete, found again, left out where it does not fit."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from asyncwasm import Config, Engine, Func, FuncType, Instance, Module, Store, component
from asyncwasm.core.exec.native import compiler, executor
from asyncwasm.core.types import I32
from asyncwasm.errors import MalformedError

pytest.importorskip("llvmlite")

TEXT = """
(module
  (import "" "host" (func $host (param i32) (result i32)))
  (func $twice (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "run") (param i32) (result i32) (call $twice (call $host (local.get 0))))
  (func (export "other") (param i64) (result i64) (i64.add (local.get 0) (i64.const 1))))
"""
COMPONENT = f"""
(component
  (core module $m {TEXT.strip().removeprefix("(module").removesuffix(")")})
  (core module $n (func (export "host") (param i32) (result i32) (local.get 0)))
  (core instance $n (instantiate $n))
  (core instance $m (instantiate $m (with "" (instance $n))))
  (func (export "run") (param "x" s32) (result s32) (canon lift (core func $m "run"))))
"""


def native(**options: object) -> Engine:
    return Engine(Config(strategy="native", **options))  # type: ignore[arg-type]


def run(engine: Engine, module: Module, name: str = "run", argument: int = 4) -> object:
    store: Store[None] = Store(engine)
    host = Func.new(store, FuncType((I32,), (I32,)), lambda caller, n: n + 1)
    func = Instance.new(store, module, [host]).get_func(store, name)
    assert func is not None
    return func.call(store, argument)


@pytest.mark.parametrize("opt_level", ["tiered", "none", "speed"])
def test_everything_is_compiled(opt_level: str):
    data = native(opt_level=opt_level).precompile_module(TEXT)
    engine = native(opt_level=opt_level)
    module = Module.deserialize(engine, data)
    assert [run(engine, module), run(engine, module, "other")] == [10, 5]
    found = engine.statistics()
    assert found.units == found.units_recalled > 0
    assert found.functions_compiled == 3


def test_a_process_that_loads_it_compiles_nothing_of_it(tmp_path: Path):
    (tmp_path / "module").write_bytes(native().precompile_module(TEXT))
    code = f"""
from asyncwasm import Module
from asyncwasm.core.exec.native import compiler, units
from tests.core.exec.native.test_serialize import native, run
def emit(text, *, speed):
    assert "@loop" in text or "@host" in text, text
    return compile(text, speed=speed)
compile, compiler.emit, units.emit = compiler.emit, emit, emit
engine = native()
module = Module.deserialize_file(engine, {str(tmp_path / "module")!r})
assert run(engine, module, "other") == 5
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=60)


def test_only_what_there_is():
    engine = native()
    module = Module(engine, TEXT)
    assert len(module.serialize(complete=False)) < len(module.serialize()) / 2
    module = Module(engine, TEXT)
    run(engine, module, "other")
    for data in (module.serialize(complete=False), pickle.dumps(module)):
        other = native()
        loaded = pickle.loads(data) if data[0] == 0x80 else Module.deserialize(other, data)
        before = loaded.engine.statistics().units_recalled
        assert run(loaded.engine, loaded, "other") == 5
        assert loaded.engine.statistics().units_recalled == before + 1


def test_it_is_the_same_once_more():
    engine = native()
    data = Module(engine, TEXT).serialize()
    assert Module(engine, TEXT).serialize() == data
    assert Module.deserialize(engine, data).serialize() == data


def test_optimised_code_goes_along():
    engine = native(opt_level="speed")
    module = Module(engine, TEXT)
    run(engine, module)
    loaded = native(opt_level="speed")
    run(loaded, Module.deserialize(loaded, module.serialize(complete=False)))
    assert loaded.statistics().functions_optimised == engine.statistics().functions_optimised > 0


@pytest.mark.parametrize(
    "options",
    [{"preemption_interval": None}, {"consume_fuel": True}, {"opt_level": "speed"}],
)
def test_code_for_another_configuration_is_left_out(options: dict[str, object]):
    engine = native(**options)
    loaded = Module.deserialize(engine, native().precompile_module(TEXT))
    if not options.get("consume_fuel"):
        assert run(engine, loaded) == 10
        assert engine.statistics().functions_compiled > 0
    assert engine.statistics().units_recalled == 0


@pytest.mark.parametrize(
    "options",
    [{"max_wasm_stack": 1 << 20}, {"preemption_interval": 0.5}, {"lazy_validation": True}],
)
def test_what_changes_nothing_in_the_code(options: dict[str, object]):
    engine = native(**options)
    run(engine, Module.deserialize(engine, native().precompile_module(TEXT)))
    assert engine.statistics().units_recalled == engine.statistics().units > 0


def test_code_for_another_processor_is_left_out(monkeypatch: pytest.MonkeyPatch):
    data = native().precompile_module(TEXT)
    monkeypatch.setattr(executor, "fingerprint", lambda config: "another")
    engine = native()
    assert run(engine, Module.deserialize(engine, data)) == 10
    assert engine.statistics().units_recalled == 0


def test_each_engine_loads_what_the_other_made():
    portable = Engine(Config(strategy="interpreter"))
    assert run(portable, Module.deserialize(portable, native().precompile_module(TEXT))) == 10
    engine = native()
    assert run(engine, Module.deserialize(engine, portable.precompile_module(TEXT))) == 10


def test_damage_is_noticed():
    data = native().precompile_module(TEXT)
    for at in (-1, -1000, len(data) // 2):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(MalformedError, match="serialized module is damaged"):
            Module.deserialize(native(), bytes(changed))
    with pytest.raises(MalformedError, match="serialized module is damaged"):
        Module.deserialize(native(), data[:-1])


def test_what_cannot_be_compiled_is_interpreted(monkeypatch: pytest.MonkeyPatch):
    def fail(text: str, speed: int) -> bytes:
        raise RuntimeError("no")

    monkeypatch.setattr(compiler, "_emit", fail)
    data = native().precompile_module(TEXT)
    monkeypatch.undo()
    engine = native()
    assert run(engine, Module.deserialize(engine, data)) == 10


def test_components_have_the_code_of_their_modules():
    data = native().precompile_component(COMPONENT)
    engine = native()
    loaded = component.Component.deserialize(engine, data)
    store: Store[None] = Store(engine)
    instance = component.Linker(engine).instantiate(store, loaded)
    func = instance.get_func(store, "run")
    assert func is not None
    assert func.call(store, 4) == 8
    assert engine.statistics().units_recalled == engine.statistics().units > 0
