"""Instantiation: the order of its checks, and what a failure leaves behind."""

from __future__ import annotations

import pytest

from asyncwasm import (
    Config,
    Engine,
    Func,
    Global,
    GlobalType,
    Instance,
    Linker,
    LinkError,
    Memory,
    MemoryType,
    Module,
    ResourceLimiter,
    ResourceLimitError,
    Store,
    StoreLimits,
    Table,
    TableType,
    Trap,
    TrapCode,
    UnknownImportError,
    WrongEngineError,
    WrongStoreError,
)
from asyncwasm.core.types import FUNCREF, I32, I64, Limits

PLAIN = '(module (func (export "run") (result i32) i32.const 7))'


@pytest.fixture
def store() -> Store:
    return Store(Engine())


def nop(store: Store) -> Func:
    return Func.wrap(store, lambda: None)


def test_the_number_of_imports_is_checked(store: Store):
    module = Module(store.engine, '(module (import "m" "f" (func)))')
    with pytest.raises(LinkError, match=r"^expected 1 imports, found 0$"):
        Instance.new(store, module)
    with pytest.raises(LinkError, match=r"^expected 1 imports, found 2$"):
        Instance.new(store, module, [nop(store), nop(store)])


def test_an_import_of_another_store_is_reported_before_the_count(store: Store):
    module = Module(store.engine, '(module (import "m" "f" (func)))')
    other = nop(Store(store.engine))
    with pytest.raises(WrongStoreError, match="cross-`Store` instantiation"):
        Instance.new(store, module, [other, other])


def test_a_module_of_another_engine_is_refused(store: Store):
    module = Module(Engine(), PLAIN)
    with pytest.raises(WrongEngineError, match="cross-`Engine`"):
        Instance.new(store, module)


def test_the_count_is_reported_before_a_wrong_type(store: Store):
    module = Module(store.engine, '(module (import "m" "f" (func)) (import "m" "g" (func)))')
    item = Global.new(store, GlobalType(I32), 1)
    with pytest.raises(LinkError, match="expected 2 imports"):
        Instance.new(store, module, [item])


def test_what_is_not_an_extern_is_a_type_error(store: Store):
    module = Module(store.engine, '(module (import "m" "f" (func)))')
    with pytest.raises(TypeError, match="an import must be a Func"):
        Instance.new(store, module, [lambda: None])


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("(func)", "expected func, but found global"),
        ("(memory 1)", "expected memory, but found global"),
        (
            "(global i64)",
            "global types incompatible: expected global of type `i64`, found global of type `i32`",
        ),
        (
            "(global (mut i32))",
            "global types incompatible: expected mutable global, found immutable global",
        ),
    ],
)
def test_a_wrong_type_says_what_was_expected(store: Store, wanted: str, text: str):
    module = Module(store.engine, f'(module (import "m" "n" {wanted}))')
    item = Global.new(store, GlobalType(I32), 1)
    with pytest.raises(LinkError) as caught:
        Instance.new(store, module, [item])
    assert str(caught.value) == f"incompatible import type for `m::n`: {text}"


def test_limits_are_compared_with_the_current_size(store: Store):
    memory = Memory.new(store, MemoryType(Limits(1, 5)))
    module = Module(store.engine, '(module (import "m" "n" (memory 2 5)))')
    with pytest.raises(
        LinkError,
        match=r"expected memory limits \(min: 2, max: 5\) doesn't match "
        r"provided memory limits \(min: 1, max: 5\)",
    ):
        Instance.new(store, module, [memory])
    memory.grow(store, 1)
    Instance.new(store, module, [memory])


def test_elements_written_before_a_failure_stay(store: Store):
    table = Table.new(store, TableType(FUNCREF, Limits(4)), None)
    module = Module(
        store.engine,
        '(module (import "m" "t" (table 4 funcref)) (func $f (result i32) i32.const 42)'
        "(elem (i32.const 0) $f) (elem (i32.const 4) $f) (memory 1)"
        '(data (i32.const 0) "never"))',
    )
    with pytest.raises(Trap) as caught:
        Instance.new(store, module, [table])
    assert caught.value.code is TrapCode.TABLE_OUT_OF_BOUNDS
    func = table.get(store, 0)
    assert isinstance(func, Func)
    assert func.call(store) == 42


def test_segments_written_before_a_failing_data_segment_stay(store: Store):
    table = Table.new(store, TableType(FUNCREF, Limits(1)), None)
    memory = Memory.new(store, MemoryType(Limits(1)))
    module = Module(
        store.engine,
        '(module (import "m" "t" (table 1 funcref)) (import "m" "m" (memory 1)) (func $f)'
        '(elem (i32.const 0) $f) (data (i32.const 1) "ok") (data (i32.const 65535) "no"))',
    )
    with pytest.raises(Trap) as caught:
        Instance.new(store, module, [table, memory])
    assert caught.value.code is TrapCode.MEMORY_OUT_OF_BOUNDS
    assert table.get(store, 0) is not None
    assert memory.read(store, 0, 4) == b"\0ok\0"
    assert memory.read(store, 65535, 1) == b"\0"


def test_an_instance_whose_start_function_traps_is_counted(store: Store):
    store.limiter(StoreLimits(instances=1))
    module = Module(store.engine, "(module (func unreachable) (start 0))")
    with pytest.raises(Trap) as caught:
        Instance.new(store, module)
    assert caught.value.code is TrapCode.UNREACHABLE
    with pytest.raises(ResourceLimitError, match="instance count too high at 2"):
        Instance.new(store, module)


def test_a_denied_memory_leaves_the_counts(store: Store):
    class Second(ResourceLimiter):
        memories = 3
        seen = 0

        def memory_growing(self, current: int, desired: int, maximum: int | None) -> bool:
            assert current == 0
            self.seen += 1
            return self.seen < 2

        def table_growing(self, current: int, desired: int, maximum: int | None) -> bool:
            raise AssertionError("memories come before tables")

    store.limiter(Second())
    module = Module(store.engine, "(module (memory 1) (memory 2) (table 1 funcref))")
    with pytest.raises(
        ResourceLimitError, match=r"^memory minimum size of 2 pages exceeds memory limits$"
    ):
        Instance.new(store, module)
    with pytest.raises(ResourceLimitError, match="memory count too high at 4"):
        Instance.new(store, module)


def test_size_at_definition_and_size_now(store: Store):
    memory = Memory.new(store, MemoryType(Limits(1)))
    linker = Linker(store.engine)
    linker.define(store, "m", "n", memory)
    module = Module(store.engine, '(module (import "m" "n" (memory 2)))')
    memory.grow(store, 1)
    with pytest.raises(LinkError, match="memory limits"):
        linker.instantiate_pre(module)
    linker.instantiate(store, module)


def test_a_name_is_defined_once_unless_shadowing_is_allowed(store: Store):
    linker = Linker(store.engine)
    linker.func_wrap("m", "n", lambda: None)
    with pytest.raises(LinkError, match=r"^import of `m::n` defined twice$"):
        linker.func_wrap("m", "n", lambda: None)
    linker.allow_shadowing(True)
    linker.func_wrap("m", "n", lambda: None)


def test_a_missing_import_is_named(store: Store):
    module = Module(store.engine, '(module (import "m" "n" (func)))')
    with pytest.raises(UnknownImportError) as caught:
        Linker(store.engine).instantiate(store, module)
    assert (caught.value.module, caught.value.name) == ("m", "n")
    assert "m::n" in str(caught.value)


def test_exports_are_the_same_object_each_time(store: Store):
    instance = Instance.new(store, Module(store.engine, PLAIN))
    assert instance.get_func(store, "run") is instance.get_export(store, "run")
    assert [e.name for e in instance.exports(store)] == ["run"]
    assert instance.get_memory(store, "run") is None
    assert instance.get_export(store, "nothing") is None


def test_export_tokens_work_for_their_module_only(store: Store):
    module, twin = Module(store.engine, PLAIN), Module(store.engine, PLAIN)
    token = module.get_export_index("run")
    assert token is not None
    assert module.get_export_index("nothing") is None
    instance = Instance.new(store, module)
    assert instance.get_module_export(store, token) is instance.get_func(store, "run")
    assert Instance.new(store, twin).get_module_export(store, token) is None


def test_typed_functions(store: Store):
    instance = Instance.new(store, Module(store.engine, PLAIN))
    assert instance.get_typed_func(store, "run", (), (I32,)).call(store) == 7
    with pytest.raises(LinkError, match="^failed to find function export `walk`$"):
        instance.get_typed_func(store, "walk", (), ())
    with pytest.raises(
        LinkError, match="^failed to convert function `run` to given type: type mismatch with res"
    ):
        instance.get_typed_func(store, "run", (), (I64,))


def test_an_instance_belongs_to_its_store(store: Store):
    instance = Instance.new(store, Module(store.engine, PLAIN))
    with pytest.raises(WrongStoreError, match="object used with the wrong store"):
        instance.get_func(Store(store.engine), "run")


def test_the_start_function_runs_after_all_segments(store: Store):
    seen = []
    memory = Memory.new(store, MemoryType(Limits(1)))
    f = Func.wrap(store, lambda: seen.append(memory.read(store, 0, 2)))
    module = Module(
        store.engine,
        '(module (import "m" "f" (func)) (import "m" "m" (memory 1))'
        '(data (i32.const 0) "hi") (start 0))',
    )
    Instance.new(store, module, [f, memory])
    assert seen == [b"hi"]


def test_every_proposal_is_named_when_it_is_off():
    engine = Engine(Config(wasm_simd=False, wasm_relaxed_simd=False))
    from asyncwasm import ValidationError

    with pytest.raises(ValidationError, match="wasm_simd"):
        Module(engine, "(module (func (param v128)))")


def test_a_function_interrupted_while_it_is_made(monkeypatch):
    """Ctrl-C between the making of a function and its linking: the next one who asks links it."""
    engine = Engine()
    store: Store[None] = Store(engine)
    module = Module(engine, '(module (func (export "main")))')
    instance = Instance.new(store, module, [])
    link = engine.executor.link

    def struck(func: Func) -> None:
        monkeypatch.setattr(engine.executor, "link", link)
        raise KeyboardInterrupt

    monkeypatch.setattr(engine.executor, "link", struck)
    with pytest.raises(KeyboardInterrupt):
        instance.get_func(store, "main")
    instance.get_func(store, "main").call(store)
