"""The linker: names, commands and reactors, defaults."""

from __future__ import annotations

import anyio
import pytest

from asyncwasm import (
    Config,
    Engine,
    Func,
    FuncType,
    Global,
    GlobalType,
    Instance,
    Linker,
    LinkError,
    Module,
    Store,
    UnknownImportError,
    WrongEngineError,
    WrongStoreError,
)
from asyncwasm.core.types import I32

COUNTER = (
    "(module (global $n (mut i32) (i32.const 0))"
    ' (func (export "next") (result i32)'
    " (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)) {extra})"
)
USER = (
    '(module (import "counter" "next" (func $next (result i32)))'
    ' (func (export "twice") (result i32 i32) call $next call $next))'
)


@pytest.fixture
def store() -> Store:
    return Store(Engine())


@pytest.fixture
def linker(store: Store) -> Linker:
    return Linker(store.engine)


def module(store: Store, extra: str = "") -> Module:
    return Module(store.engine, COUNTER.replace("{extra}", extra))


def test_a_command_is_new_for_every_call(store: Store, linker: Linker):
    linker.module(store, "counter", module(store, '(func (export "_start"))'))
    user = linker.instantiate(store, Module(store.engine, USER))
    assert user.get_func(store, "twice").call(store) == (1, 1)
    assert linker.get_default(store, "counter").call(store) is None


def test_a_reactor_is_instantiated_once(store: Store, linker: Linker):
    linker.module(
        store,
        "counter",
        module(store, '(func (export "_initialize") (global.set $n (i32.const 10)))'),
    )
    user = linker.instantiate(store, Module(store.engine, USER))
    assert user.get_func(store, "twice").call(store) == (11, 12)


@pytest.mark.anyio
async def test_commands_and_reactors_through_async_entry_points():
    store = Store(Engine(Config(async_support=True)))
    linker = Linker(store.engine)
    waited = []

    async def pause() -> None:
        await anyio.lowlevel.checkpoint()
        waited.append(1)

    linker.func_wrap_async("host", "pause", pause)
    text = (
        '(module (import "host" "pause" (func $pause)) (func (export "_start") call $pause)'
        ' (func (export "next") (result i32) call $pause i32.const 5))'
    )
    await linker.module_async(store, "counter", Module(store.engine, text))
    user = await linker.instantiate_async(store, Module(store.engine, USER))
    assert await user.get_func(store, "twice").call_async(store) == (5, 5)
    await linker.get_default(store, "counter").call_async(store)
    assert len(waited) == 3
    reactor = text.replace("_start", "_initialize")
    await linker.module_async(store, "reactor", Module(store.engine, reactor))
    assert len(waited) == 4


def test_what_is_neither_or_both(store: Store, linker: Linker):
    both = module(store, '(func (export "_start")) (func (export "_initialize"))')
    with pytest.raises(LinkError, match="^Program cannot be both a Command and a Reactor$"):
        linker.module(store, "m", both)
    for name in ("_start", "_initialize"):
        wrong = module(store, f'(memory (export "{name}") 1)')
        with pytest.raises(LinkError, match=f"^`{name}` must be a function$"):
            linker.module(store, "m", wrong)


def test_what_a_command_may_export(store: Store, linker: Linker):
    fine = module(store, '(func (export "_start")) (memory (export "memory") 1)')
    linker.module(store, "fine", fine)
    odd = module(store, '(func (export "_start")) (memory (export "other") 1)')
    with pytest.raises(LinkError, match="^command export 'other' is not a function$"):
        linker.module(store, "odd", odd)
    other = Linker(store.engine)
    other.allow_unknown_exports(True)
    other.module(store, "odd", odd)


def test_the_default_function(store: Store, linker: Linker):
    assert linker.get_default(store, "nothing").call(store) is None
    linker.define(store, "m", "_start", Global.new(store, GlobalType(I32), 1))
    with pytest.raises(LinkError, match="^`_start` in 'm' is not a function$"):
        linker.get_default(store, "m")
    linker.define(store, "m", "", Global.new(store, GlobalType(I32), 1))
    with pytest.raises(LinkError, match="^default export in 'm' is not a function$"):
        linker.get_default(store, "m")


def test_aliases(store: Store, linker: Linker):
    linker.func_wrap("a", "f", lambda: None)
    linker.alias("a", "f", "b", "g")
    linker.alias_module("a", "c")
    assert {(m, n) for m, n, _ in linker.iter(store)} == {("a", "f"), ("b", "g"), ("c", "f")}
    with pytest.raises(LinkError, match="^no item named `a::x` defined$"):
        linker.alias("a", "x", "b", "x")


def test_unknown_functions_as_traps(store: Store, linker: Linker):
    text = '(module (import "m" "f" (func)) (func (export "run") call 0))'
    wanting = Module(store.engine, text)
    linker.define_unknown_imports_as_traps(wanting)
    instance = linker.instantiate(store, wanting)
    with pytest.raises(UnknownImportError, match="^unknown import: `m::f` has not been defined"):
        instance.get_func(store, "run").call(store)
    memory = Module(store.engine, '(module (import "m" "mem" (memory 1)))')
    linker.define_unknown_imports_as_traps(memory)
    with pytest.raises(UnknownImportError):
        linker.instantiate(store, memory)


def test_unknown_imports_as_default_values(store: Store, linker: Linker):
    wanting = Module(
        store.engine,
        '(module (import "m" "f" (func (result i32 f64 externref)))'
        ' (import "m" "g" (global $g (mut i64))) (import "m" "t" (table 2 funcref))'
        ' (import "m" "mem" (memory 3))'
        ' (func (export "run") (result i32 f64 externref) call 0)'
        ' (func (export "size") (result i32) memory.size)'
        ' (func (export "global") (result i64) global.get $g))',
    )
    linker.define_unknown_imports_as_default_values(store, wanting)
    instance = linker.instantiate(store, wanting)
    assert instance.get_func(store, "run").call(store) == (0, 0.0, None)
    assert instance.get_func(store, "size").call(store) == 3
    assert instance.get_func(store, "global").call(store) == 0
    strict = Module(store.engine, '(module (import "m" "x" (global (ref func))))')
    with pytest.raises(LinkError, match="no default value exists for `m::x` with type"):
        linker.define_unknown_imports_as_default_values(store, strict)


def test_looking_up(store: Store, linker: Linker):
    linker.func_new("m", "f", FuncType((), (I32,)), lambda caller: 3)
    func = linker.get(store, "m", "f")
    assert isinstance(func, Func)
    assert func.call(store) == 3
    assert linker.get(store, "m", "f") is not func
    with pytest.raises(LinkError, match="^missing definition for `m::g`$"):
        linker.get(store, "m", "g")
    wanted = Module(store.engine, '(module (import "m" "g" (func)))').imports[0]
    assert linker.get_by_import(store, wanted) is None


def test_a_copy_is_independent(store: Store, linker: Linker):
    linker.func_wrap("m", "f", lambda: None)
    copy = linker.clone()
    copy.func_wrap("m", "g", lambda: None)
    with pytest.raises(LinkError):
        linker.get(store, "m", "g")


def test_a_pre_instance_works_in_any_store_of_its_engine(store: Store, linker: Linker):
    linker.func_wrap("counter", "next", one)
    pre = linker.instantiate_pre(Module(store.engine, USER))
    for other in (store, Store(store.engine)):
        assert pre.instantiate(other).get_func(other, "twice").call(other) == (1, 1)
    with pytest.raises(WrongEngineError, match="cross-`Engine` usage is not supported"):
        pre.instantiate(Store(Engine()))


def test_a_pre_instance_keeps_its_host_functions_alive(store: Store):
    def make():
        linker = Linker(store.engine)
        linker.func_wrap("counter", "next", one)
        return linker.instantiate_pre(Module(store.engine, USER))

    assert make().instantiate(store).get_func(store, "twice").call(store) == (1, 1)


def test_a_pre_instance_with_something_of_a_store_works_there_only(store: Store, linker: Linker):
    linker.define(store, "counter", "next", Func.wrap(store, one))
    pre = linker.instantiate_pre(Module(store.engine, USER))
    pre.instantiate(store)
    with pytest.raises(WrongStoreError, match="cross-`Store` instantiation"):
        pre.instantiate(Store(store.engine))


def test_engines_do_not_mix(store: Store, linker: Linker):
    other = Engine()
    with pytest.raises(WrongEngineError):
        linker.instantiate(store, Module(other, "(module)"))
    linker.func_wrap("m", "f", one)
    with pytest.raises(WrongEngineError, match="cannot use a store with a different engine"):
        linker.get(Store(other), "m", "f")
    with pytest.raises(WrongEngineError, match="different engines for this linker"):
        linker.module(Store(other), "m", Module(other, "(module)"))


def test_an_instance_defines_its_exports(store: Store, linker: Linker):
    linker.instance(store, "counter", Instance.new(store, module(store)))
    user = linker.instantiate(store, Module(store.engine, USER))
    assert user.get_func(store, "twice").call(store) == (1, 2)


def one() -> int:
    return 1
