"""Machine code on disk: found again, never trusted blindly, never in anybody's way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asyncwasm import Config, Engine, Func, FuncType, Instance, Module, Store
from asyncwasm.core.exec.native import cache
from asyncwasm.core.types import I32

pytest.importorskip("llvmlite")

TEXT = """
(module
  (import "" "host" (func $host (param i32) (result i32)))
  (type $unary (func (param i32) (result i32)))
  (memory 1)
  (table funcref (elem $double))
  (global $calls (mut i32) (i32.const 0))
  (func $double (type $unary) (i32.mul (local.get 0) (i32.const 2)))
  (func $big (param i32 i64 f32 f64 i32 i64 f32 f64 i32 i64) (result i32) (local.get 0))
  (func (export "run") (param i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (call_indirect (type $unary) (call $host (local.get 0)) (i32.const 0)))
  (func (export "tail") (param i32) (result i32)
    (return_call $big (local.get 0) (i64.const 1) (f32.const 1) (f64.const 1) (i32.const 1)
      (i64.const 1) (f32.const 1) (f64.const 1) (i32.const 1) (i64.const 1)))
  (func (export "divide") (param i32) (result i32) (i32.div_u (i32.const 9) (local.get 0))))
"""


def use(directory: Path, **options: object) -> Engine:
    """An engine in which everything was called once."""
    config = Config(strategy="native", cache=str(directory), **options)  # type: ignore[arg-type]
    engine = Engine(config)
    store: Store[None] = Store(engine)
    host = Func.new(store, FuncType((I32,), (I32,)), lambda caller, n: n + 1)
    instance = Instance.new(store, Module(engine, TEXT), [host])

    def call(name: str, argument: int) -> object:
        func = instance.get_func(store, name)
        assert func is not None
        return func.call(store, argument)

    assert [call("run", 4), call("tail", 7), call("divide", 2)] == [10, 7, 4]
    cache.flush()
    return engine


@pytest.mark.parametrize("opt_level", ["none", "speed"])
def test_code_is_found_again(tmp_path: Path, opt_level: str):
    first = use(tmp_path, opt_level=opt_level).statistics()
    assert first.units_recalled == 0
    second = use(tmp_path, opt_level=opt_level).statistics()
    assert second.units_recalled == second.units == first.units
    assert second.functions_compiled == first.functions_compiled


def test_code_for_another_configuration_is_not_used(tmp_path: Path):
    use(tmp_path)
    assert use(tmp_path, preemption_interval=None).statistics().units_recalled == 0


def test_a_valid_module_is_not_validated_again(tmp_path: Path):
    use(tmp_path)
    engine = Engine(Config(strategy="native", cache=str(tmp_path)))
    assert engine.executor.was_validated(Module(Engine(), TEXT).info.data)
    assert not engine.executor.was_validated(b"something else")


@pytest.mark.parametrize("damage", ["change", "cut", "empty", "another key"])
def test_what_does_not_verify_is_not_used(tmp_path: Path, damage: str):
    use(tmp_path)
    for path in tmp_path.glob("*.code"):
        data = bytearray(path.read_bytes())
        if damage == "change":
            data[-1] ^= 1
        elif damage == "cut":
            del data[len(data) // 2 :]
        elif damage == "empty":
            data.clear()
        path.write_bytes(data)
    if damage == "another key":
        cache._key.cache_clear()
        (tmp_path / "key").write_bytes(bytes(32))
    assert use(tmp_path).statistics().units_recalled == 0
    assert use(tmp_path).statistics().units_recalled > 0


def test_a_directory_that_others_may_write_to_is_not_used(tmp_path: Path):
    tmp_path.chmod(0o777)
    use(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_not_used(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    use(tmp_path / "file" / "directory")


def test_another_process_uses_it(tmp_path: Path):
    code = f"""
import pathlib, sys
from asyncwasm.core.exec.native import compiler
from tests.core.exec.native.test_cache import use
if sys.argv[1:]:
    compiler._emit = None  # nothing is compiled
found = use(pathlib.Path({str(tmp_path)!r})).statistics()
assert found.units > 0, found
assert found.units_recalled == (found.units if sys.argv[1:] else 0), found
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for arguments in ([], ["again"], ["again"]):
        command = [sys.executable, "-c", code, *arguments]
        subprocess.run(command, check=True, env=environment, timeout=60)


def test_two_that_write_do_not_disturb_each_other(tmp_path: Path):
    directory = cache.open_directory(tmp_path / "code")
    one, other = cache.CodeFile(directory, "x"), cache.CodeFile(directory, "x")
    one.add("a", b"1")
    other.add("b", b"2")
    one.flush()
    other.flush()
    assert cache.CodeFile(directory, "x").items == {"a": b"1", "b": b"2"}
    assert sorted(path.name for path in directory.iterdir()) == ["key", "x.code"]


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    directory = cache.open_directory(tmp_path / "code")
    monkeypatch.setattr(cache, "_MOST_BYTES", 2500)
    for number in range(4):
        file = cache.CodeFile(directory, f"f{number}")
        file.add("a", bytes(1000))
        file.flush()
        os.utime(directory / f"f{number}.code", (number, number))
    assert sorted(path.stem for path in directory.glob("*.code")) == ["f2", "f3"]


def test_code_that_is_shared_is_found_by_the_same_text_in_every_process():
    code = """
import hashlib
from asyncwasm.core.exec.native.gates import _SHARED, _direct
from asyncwasm.core.types import F32, I32, FuncType
text = _direct(FuncType((I32, F32), (F32,)), may_suspend=True)
print(hashlib.sha256((text + _SHARED.used_by(text)).encode()).hexdigest())
"""
    found = set()
    for seed in ("1", "2", "3"):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONHASHSEED": seed,
        }
        done = subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            env=environment,
            timeout=60,
            capture_output=True,
        )
        found.add(done.stdout)
    assert len(found) == 1
