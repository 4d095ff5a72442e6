"""Calls of exported functions, and of host functions by guests."""

from __future__ import annotations

import pickle

import pytest

from asyncwasm import (
    AsyncSupportError,
    Caller,
    Config,
    Engine,
    Instance,
    LinkError,
    MalformedError,
    Module,
    ResourceLimitError,
    Store,
    Trap,
    TrapCode,
    UnknownImportError,
    UsageError,
    WrongEngineError,
    WrongStoreError,
)
from asyncwasm.component import Component, Err, Linker, Ok
from asyncwasm.component.types import FuncType, Primitive, Result
from asyncwasm.errors import CanonicalAbiError, ComponentError

ADD = """
(component
  (core module $m
    (func (export "add") (param i32 i32) (result i32)
      local.get 0 local.get 1 i32.add)
    (func (export "fail") unreachable))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32)
    (canon lift (core func $i "add")))
  (func (export "fail") (canon lift (core func $i "fail"))))
"""

# What a component with strings needs: a memory and an allocator that never frees.
LIBC = """
  (core module $libc
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at
        (i32.and
          (i32.add (global.get $top) (i32.sub (local.get 2) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get 2))))
      (global.set $top (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
"""

ECHO = f"""
(component
  (import "shout" (func $shout (param "text" string) (result string)))
  {LIBC}
  (core func $shout' (canon lower (func $shout) (memory $memory) (realloc $realloc)))
  (core module $m
    (import "" "shout" (func $shout (param i32 i32 i32)))
    (func (export "echo") (param i32 i32) (result i32)
      (call $shout (local.get 0) (local.get 1) (i32.const 16))
      (i32.const 16)))
  (core instance $i (instantiate $m (with "" (instance (export "shout" (func $shout'))))))
  (func (export "echo") (param "text" string) (result string)
    (canon lift (core func $i "echo") (memory $memory) (realloc $realloc))))
"""

NESTED = """
(component
  (import "a:b/host@1.0.1" (instance $host
    (export "one" (func (result u32)))
    (export "two" (func (param "x" u32)))))
  (core func $one (canon lower (func $host "one")))
  (core func $two (canon lower (func $host "two")))
  (core module $m
    (import "" "one" (func $one (result i32)))
    (import "" "two" (func $two (param i32)))
    (func (export "run") (result i32)
      (call $two (call $one))
      (call $one)))
  (core instance $i (instantiate $m (with "" (instance
    (export "one" (func $one)) (export "two" (func $two))))))
  (func $run (result u32) (canon lift (core func $i "run")))
  (instance $api (export "run" (func $run)))
  (export "a:b/api@0.2.3" (instance $api)))
"""


@pytest.fixture(params=["interpreter", "native"])
def engine(request) -> Engine:
    return Engine(Config(strategy=request.param))


def instantiate(engine, text, define=lambda linker: None, **options):
    store = Store(engine, **options)
    linker = Linker(engine)
    define(linker)
    return store, linker.instantiate(store, Component(engine, text))


def test_a_call_takes_and_gives_values(engine):
    store, instance = instantiate(engine, ADD)
    add = instance.get_func(store, "add")
    assert add.call(store, 1, 2**32 - 1) == 0
    assert instance.get_func(store, "add") is add
    assert add.ty(store) == FuncType((("a", Primitive.U32), ("b", Primitive.U32)), Primitive.U32)
    assert instance.get_func(store, "sub") is None
    typed = instance.get_typed_func(store, "add", [Primitive.U32] * 2, [Primitive.U32])
    assert typed.call(store, 20, 22) == 42
    typed.post_return(store)
    with pytest.raises(LinkError, match="failed to find function export"):
        instance.get_typed_func(store, "sub", [])
    with pytest.raises(LinkError, match="given type: type mismatch with parameters: expected 1-t"):
        instance.get_typed_func(store, "add", [Primitive.U32], [Primitive.U32])
    with pytest.raises(LinkError, match="type mismatch with results: expected `u8` found `u32`"):
        instance.get_typed_func(store, "add", [Primitive.U32] * 2, [Primitive.U8])


def test_calls_that_go_straight_in_end_as_all_others_do(engine):
    text = """
    (component
      (core module $m
        (tag $t)
        (func (export "low") (param i64) (result i64) (i64.sub (local.get 0) (i64.const 1)))
        (func (export "throw") (throw $t)))
      (core instance $i (instantiate $m))
      (func (export "low") (param "x" u64) (result u64) (canon lift (core func $i "low")))
      (func (export "throw") (canon lift (core func $i "throw"))))
    """
    store, instance = instantiate(engine, text)
    low = instance.get_func(store, "low")
    for _ in range(5):
        assert low.call(store, 0) == 2**64 - 1
    with pytest.raises(Trap, match="uncaught exception propagated out of component"):
        instance.get_func(store, "throw").call(store)
    with pytest.raises(Trap, match="cannot enter component instance"):
        low.call(store, 0)


def test_arguments_are_counted_and_checked(engine):
    store, instance = instantiate(engine, ADD)
    add = instance.get_func(store, "add")
    with pytest.raises(TypeError, match=r"expected 2 argument\(s\), got 1"):
        add.call(store, 1)
    with pytest.raises(TypeError, match="b: expected int, got str"):
        add.call(store, 1, "2")
    with pytest.raises(OverflowError):
        add.call(store, 1, 2**32)
    assert add.call(store, 1, 2) == 3  # nothing has run, so nothing has failed


def test_a_function_belongs_to_its_store(engine):
    store, instance = instantiate(engine, ADD)
    with pytest.raises(WrongStoreError):
        instance.get_func(Store(engine), "add")
    with pytest.raises(WrongStoreError):
        instance.get_func(store, "add").call(Store(engine), 1, 2)
    with pytest.raises(WrongEngineError):
        Linker(Engine()).instantiate(store, instance.component)


def test_strings_go_through_the_guest_and_the_host(engine):
    store, instance = instantiate(
        engine, ECHO, lambda linker: linker.root().func_wrap("shout", lambda text: text.upper())
    )
    echo = instance.get_func(store, "echo")
    assert echo.call(store, "grüße") == "GRÜSSE"
    assert echo.call(store, "") == ""


def test_an_argument_that_does_not_fit_leaves_the_instance_usable(engine):
    store, instance = instantiate(
        engine, ECHO, lambda linker: linker.root().func_wrap("shout", lambda text: text)
    )
    echo = instance.get_func(store, "echo")
    with pytest.raises(TypeError, match="text: expected str, got int"):
        echo.call(store, 1)
    assert echo.call(store, "x") == "x"


def test_what_a_host_function_returns_is_checked(engine):
    store, instance = instantiate(
        engine, ECHO, lambda linker: linker.root().func_wrap("shout", lambda text: 1)
    )
    with pytest.raises(TypeError, match="expected str, got int"):
        instance.get_func(store, "echo").call(store, "x")


def test_exceptions_of_host_functions_come_out_unchanged_and_poison_the_store(engine):
    error = LookupError("gone")

    def fail(text):
        raise error

    store, instance = instantiate(
        engine, ECHO, lambda linker: linker.root().func_wrap("shout", fail)
    )
    echo = instance.get_func(store, "echo")
    with pytest.raises(LookupError) as caught:
        echo.call(store, "x")
    assert caught.value is error
    assert "wasm backtrace" in caught.value.__notes__[0]
    with pytest.raises(Trap) as trap:
        echo.call(store, "x")
    assert trap.value.code is TrapCode.CANNOT_ENTER_COMPONENT


def test_a_trap_poisons_every_component_of_the_store_but_no_other_store(engine):
    store, instance = instantiate(engine, ADD)
    with pytest.raises(Trap, match="unreachable"):
        instance.get_func(store, "fail").call(store)
    with pytest.raises(Trap, match="cannot enter component instance"):
        instance.get_func(store, "add").call(store, 1, 2)
    again = Linker(engine).instantiate(store, instance.component)
    with pytest.raises(Trap, match="cannot enter component instance"):
        again.get_func(store, "add").call(store, 1, 2)
    other = Store(engine)
    fresh = Linker(engine).instantiate(other, instance.component)
    assert fresh.get_func(other, "add").call(other, 1, 2) == 3


def test_a_host_function_may_not_enter_its_caller_again(engine):
    inner = []

    def define(linker):
        def one(caller: Caller) -> int:
            if not inner:
                return 1
            with pytest.raises(Trap, match="cannot enter component instance"):
                inner[0].call(caller)
            return 2

        host = linker.instance("a:b/host@1.0.0")
        host.func_wrap("one", one)
        host.func_wrap("two", lambda x: None)

    store, instance = instantiate(engine, NESTED, define)
    _, api = instance.component.export_index(None, "a:b/api@0.2.3")
    run = instance.get_func(store, instance.get_export(store, api, "run"))
    assert run.call(store) == 1
    inner.append(run)
    assert run.call(store) == 2  # and a refused call does no harm


def test_one_instance_may_call_another_through_the_host(engine):
    store = Store(engine)
    component = Component(engine, NESTED)
    order = []

    def linker(one):
        made = Linker(engine)
        host = made.instance("a:b/host@1.0.0")
        host.func_wrap("one", one)
        host.func_wrap("two", order.append)
        return made

    def run_of(instance):
        return instance.exports(store).instance("a:b/api@0.2.3").func("run")

    inner = run_of(linker(lambda: 7).instantiate(store, component))
    outer = run_of(linker(lambda: inner.call(store)).instantiate(store, component))
    assert outer.call(store) == 7
    assert order == [7, 7, 7]


def test_nor_may_another_instance_on_its_behalf(engine):
    store = Store(engine)
    component = Component(engine, NESTED)
    runs = []

    def make(one):
        linker = Linker(engine)
        host = linker.instance("a:b/host@1.0.0")
        host.func_wrap("one", one)
        host.func_wrap("two", lambda x: None)
        instance = linker.instantiate(store, component)
        runs.append(instance.exports(store).instance("a:b/api@0.2.3").func("run"))

    def back():
        with pytest.raises(Trap, match="cannot enter component instance"):
            runs[0].call(store)
        return 5

    make(lambda: runs[1].call(store))
    make(back)
    assert runs[0].call(store) == 5


def test_names_find_compatible_versions(engine):
    def define(linker):
        for version in ("1.0.0", "1.2.0"):
            host = linker.instance(f"a:b/host@{version}")
            host.func_wrap("one", lambda v=version: int(v[2]))
            host.func_wrap("two", lambda x: None)

    store, instance = instantiate(engine, NESTED, define)
    exports = instance.exports(store)
    assert exports.instance("a:b/api@0.2.9").func("run").call(store) == 2
    assert exports.instance("a:b/api@0.3.0") is None
    assert instance.get_func(store, "a:b/api.run@0.2.0").call(store) == 2
    with pytest.raises(LinkError, match="function implementation is missing"):
        instantiate(engine, NESTED, lambda linker: linker.instance("a:b/host@2.0.0"))


def test_exports_are_found_by_name_and_by_index(engine):
    store, instance = instantiate(
        engine,
        NESTED,
        lambda linker: linker.define_unknown_imports_as_traps(Component(engine, NESTED)),
    )
    item, api = instance.component.export_index(None, "a:b/api@0.2.3")
    assert list(item.exports) == ["run"]
    assert instance.get_export(store, None, "a:b/api@0.2.3").path == api.path
    run = instance.get_export(store, api, "run")
    assert run.path == ("a:b/api@0.2.3", "run")
    assert instance.get_func(store, run) is instance.exports(store).root().instance(
        "a:b/api@0.2.3"
    ).func("run")
    assert instance.get_func(store, api) is None
    assert instance.get_export(store, api, "walk") is None
    assert instance.get_export(store, run, "run") is None
    foreign = Component(engine, NESTED).get_export_index(None, "a:b/api@0.2.3")
    assert instance.get_export(store, foreign, "run") is None
    assert instance.get_func(store, foreign) is None
    with pytest.raises(UnknownImportError, match="unknown import: `a:b/host@1.0.1#one` has not"):
        instance.get_func(store, run).call(store)


RESULTS = f"""
(component
  (import "check" (func $check (param "x" u32) (result (result u32 (error string)))))
  {LIBC}
  (core func $check' (canon lower (func $check) (memory $memory) (realloc $realloc)))
  (core module $m
    (import "" "check" (func $check (param i32 i32)))
    (func (export "run") (param i32) (result i32)
      (call $check (local.get 0) (i32.const 16))
      (i32.const 16)))
  (core instance $i (instantiate $m (with "" (instance (export "check" (func $check'))))))
  (func (export "run") (param "x" u32) (result (result u32 (error string)))
    (canon lift (core func $i "run") (memory $memory) (realloc $realloc))))
"""


def test_results_are_values_or_errors(engine):
    def check(x):
        if x == 1:
            raise ComponentError("one")
        return {2: Err("two"), 3: Ok(30)}.get(x, x)

    store, instance = instantiate(
        engine, RESULTS, lambda linker: linker.root().func_wrap("check", check)
    )
    run = instance.get_func(store, "run")
    assert run.call(store, 5) == 5
    assert run.call(store, 3) == 30
    for x, payload in ((1, "one"), (2, "two")):
        with pytest.raises(ComponentError) as caught:
            run.call(store, x)
        assert caught.value.payload == payload
    assert run.call(store, 6) == 6
    assert isinstance(run.ty(store).result, Result)


def test_dynamic_host_functions_are_told_the_type(engine):
    seen = []

    def shout(caller, ty, text):
        seen.append((caller.data, ty))
        return text

    store, instance = instantiate(
        engine, ECHO, lambda linker: linker.root().func_new("shout", shout), data="mine"
    )
    assert instance.get_func(store, "echo").call(store, "x") == "x"
    assert seen == [("mine", FuncType((("text", Primitive.STRING),), Primitive.STRING))]


def test_a_sync_host_function_must_not_be_a_coroutine_function(engine):
    async def shout(text):
        return text

    store, instance = instantiate(
        engine, ECHO, lambda linker: linker.root().func_wrap("shout", shout)
    )
    with pytest.raises(UsageError, match="define it with `func_wrap_async`"):
        instance.get_func(store, "echo").call(store, "x")


def test_async_host_functions_make_the_store_require_async(engine):
    linker = Linker(engine)
    linker.root().func_wrap_async("shout", lambda text: text)
    store = Store(engine)
    component = Component(engine, ECHO)
    pre = linker.instantiate_pre(component)
    with pytest.raises(AsyncSupportError):
        pre.instantiate(store)
    assert store.requires_async


def test_bad_pointers_of_the_guest_poison(engine):
    text = """
    (component
      (core module $m
        (memory (export "memory") 1)
        (func (export "f") (result i32) (i32.const 0x10000)))
      (core instance $i (instantiate $m))
      (func (export "f") (result string)
        (canon lift (core func $i "f") (memory (core memory $i "memory")))))
    """
    store, instance = instantiate(engine, text)
    f = instance.get_func(store, "f")
    with pytest.raises(CanonicalAbiError, match="pointer out of bounds of memory"):
        f.call(store)
    with pytest.raises(Trap, match="cannot enter component instance"):
        f.call(store)


def test_without_concurrency_recursion_is_allowed():
    engine = Engine(Config(wasm_component_model_async=False))
    depth = []

    def define(linker):
        def one(caller: Caller) -> int:
            depth.append(1)
            return len(depth) if len(depth) > 5 else run.call(caller)

        host = linker.instance("a:b/host@1.0.0")
        host.func_wrap("one", one)
        host.func_wrap("two", lambda x: None)

    store, instance = instantiate(engine, NESTED, define)
    run = instance.exports(store).instance("a:b/api@0.2.3").func("run")
    assert run.call(store) > 5


def test_components_travel(engine):
    component = Component(engine, ADD)
    for copy in (
        pickle.loads(pickle.dumps(component)),
        Component.deserialize(engine, component.serialize()),
    ):
        store = Store(engine)
        add = Linker(engine).instantiate(store, copy).get_func(store, "add")
        assert add.call(store, 1, 2) == 3
    precompiled = engine.precompile_component(ADD)
    assert precompiled == component.serialize()
    assert Engine.detect_precompiled(precompiled) == "component"
    with pytest.raises(MalformedError, match="not a serialized module"):
        Module.deserialize(engine, precompiled)
    with pytest.raises(MalformedError, match="serialized component is damaged"):
        Component.deserialize(engine, precompiled[:-1])
    with pytest.raises(MalformedError, match="not a serialized component"):
        Component.deserialize(engine, Module(engine, "(module)").serialize())
    required = component.resources_required()
    assert (required.num_memories, required.num_tables) == (0, 0)


def test_fuel_counts_in_components():
    engine = Engine(Config(consume_fuel=True))
    store = Store(engine)
    store.set_fuel(1000)
    add = Linker(engine).instantiate(store, Component(engine, ADD)).get_func(store, "add")
    add.call(store, 1, 2)
    assert 0 < 1000 - store.get_fuel() < 50


def test_what_the_host_copies_is_bounded(engine):
    store, instance = instantiate(
        engine, ECHO, lambda linker: linker.root().func_wrap("shout", lambda text: text)
    )
    echo = instance.get_func(store, "echo")
    assert echo.call(store, "x" * 1000) == "x" * 1000
    store.set_hostcall_fuel(100)
    assert echo.call(store, "x" * 10) == "x" * 10
    with pytest.raises(ResourceLimitError, match="too much data is being copied between the host"):
        echo.call(store, "x" * 1000)
    with pytest.raises(ValueError, match="must not be negative"):
        store.set_hostcall_fuel(-1)


def test_named_types_are_classes(engine):
    text = f"""
    (component
      {LIBC}
      (core module $m
        (func (export "f") (param i32 f32 i32) (result i32) (local.get 2)))
      (core instance $i (instantiate $m))
      (type $point' (record (field "x" u32) (field "y" float32)))
      (export $point "point" (type $point'))
      (type $colour' (enum "red" "dark-green"))
      (export $colour "colour" (type $colour'))
      (func (export "f") (param "p" $point) (param "c" $colour) (result $colour)
        (canon lift (core func $i "f"))))
    """.replace("float32", "f32")
    store, instance = instantiate(engine, text)
    types = instance.component.types
    f = instance.get_func(store, "f")
    assert f.call(store, types.Point(1, 2.0), types.Colour.DARK_GREEN) is types.Colour.DARK_GREEN
    assert f.call(store, {"x": 1, "y": 2}, "red") is types.Colour.RED
    with pytest.raises(OverflowError, match="p.x: -1 is out of range for u32"):
        f.call(store, types.Point(-1, 2.0), "red")
    assert instance.types is types


def test_core_functions_that_fail_poison_too(engine):
    store, instance = instantiate(engine, ADD)
    module = Module(engine, '(module (func (export "fail") unreachable) (func (export "ok")))')
    core = Instance.new(store, module)
    add = instance.get_func(store, "add")
    assert add.call(store, 1, 2) == 3
    for _ in range(2):
        with pytest.raises(Trap, match="unreachable"):
            core.get_func(store, "fail").call(store)
        core.get_func(store, "ok").call(store)
        with pytest.raises(Trap, match="cannot enter component instance"):
            add.call(store, 1, 2)


def test_hooks_see_calls_in_both_directions(engine):
    store, instance = instantiate(
        engine, ECHO, lambda linker: linker.root().func_wrap("shout", lambda text: text)
    )
    echo = instance.get_func(store, "echo")
    seen = []
    store.call_hook(lambda store, kind: seen.append(kind.name))
    assert echo.call(store, "x") == "x"
    assert seen == ["CALLING_WASM", "CALLING_HOST", "RETURNING_FROM_HOST", "RETURNING_FROM_WASM"]
