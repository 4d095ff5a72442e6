"""Linkers of components: definitions, what they are checked for, and what is missing."""

from __future__ import annotations

import pytest

from asyncwasm import Engine, LinkError, Module, Store, ValidationError, WrongEngineError
from asyncwasm.component import Component, Linker, ResourceType

IMPORTS = """
(component
  (import "f" (func (param "a" u32) (param "b" u32)))
  (import "i" (instance (export "g" (func)) (export "deep" (instance (export "h" (func)))))))
"""

MODULE = """
(component
  (import "m" (core module $m
    (import "env" "one" (func (result i32)))
    (export "run" (func (result i32)))
    (export "memory" (memory 1))))
  (core module $env (func (export "one") (result i32) (i32.const 41)))
  (core instance $env (instantiate $env))
  (core instance $i (instantiate $m (with "env" (instance $env))))
  (func (export "run") (result u32) (canon lift (core func $i "run")))
  (export "m" (core module $m)))
"""


@pytest.fixture
def engine() -> Engine:
    return Engine()


def complete(engine):
    linker = Linker(engine)
    linker.root().func_wrap("f", lambda a, b: None)
    below = linker.instance("i")
    below.func_wrap("g", lambda: None)
    below.instance("deep").func_wrap("h", lambda: None)
    return linker


def message(linker, component):
    with pytest.raises(LinkError) as caught:
        linker.instantiate_pre(component)
    return str(caught.value)


def test_what_is_missing_is_named_with_where_it_belongs(engine):
    component = Component(engine, IMPORTS)
    complete(engine).instantiate_pre(component)
    linker = Linker(engine)
    assert message(linker, component) == (
        "component imports function `f`, but a matching implementation was not found in the "
        "linker: function implementation is missing"
    )
    linker.root().func_wrap("f", lambda a, b: None)
    assert message(linker, component) == (
        "component imports instance `i`, but a matching implementation was not found in the "
        "linker: instance export `g` has the wrong type: function implementation is missing"
    )
    linker.instance("i").func_wrap("g", lambda: None)
    assert message(linker, component).endswith(
        "instance export `deep` has the wrong type: instance export `h` has the wrong type: "
        "function implementation is missing"
    )


def test_kinds_and_parameters_are_checked(engine):
    component = Component(engine, IMPORTS)
    linker = complete(engine)
    linker.allow_shadowing(True)
    root = linker.root()
    root.instance("f2")
    root.module("f", Module(engine, "(module)"))
    assert "expected function found module" in message(linker, component)
    root.resource("f", ResourceType.host(str))
    assert "expected function found resource" in message(linker, component)
    root.func_wrap("f", lambda a: None)
    assert "type mismatch with parameters: expected 2-tuple, found 1-tuple" in message(
        linker, component
    )
    root.func_wrap("f", lambda a, b, c: None)
    assert "expected 2-tuple, found 3-tuple" in message(linker, component)
    for fn in (lambda *args: None, lambda a, b, c=1: None, lambda caller, a, b: None, max):
        root.func_wrap("f", fn)
        linker.instantiate_pre(component)
    root.func_wrap("i", lambda: None)
    assert "expected instance found function" in message(linker, component)


def test_names_are_defined_once(engine):
    linker = complete(engine)
    with pytest.raises(LinkError, match="map entry `f` defined twice"):
        linker.root().func_wrap("f", lambda: None)
    with pytest.raises(LinkError, match="map entry `f` defined twice"):
        linker.instance("f")
    assert linker.instance("i").engine is engine  # an instance is opened again
    with pytest.raises(LinkError, match="map entry `g` defined twice"):
        linker.root().into_instance("i").func_wrap("g", lambda: None)
    with pytest.raises(TypeError, match="must be callable"):
        linker.root().func_wrap("new", 1)
    with pytest.raises(TypeError, match="must be a string"):
        linker.root().func_wrap(1, lambda: None)


def test_a_clone_goes_its_own_way(engine):
    linker = complete(engine)
    clone = linker.clone()
    clone.root().func_wrap("new", lambda: None)
    clone.instance("i").func_wrap("new", lambda: None)
    linker.root().func_wrap("new", lambda: None)
    linker.instance("i").func_wrap("new", lambda: None)


def test_later_definitions_do_not_reach_what_is_resolved(engine):
    component = Component(engine, IMPORTS)
    linker = complete(engine)
    pre = linker.instantiate_pre(component)
    linker.allow_shadowing(True)
    linker.root().instance("f")
    store = Store(engine)
    instance = pre.instantiate(store)
    assert pre.component is component
    assert instance.instance_pre(store) is pre


def test_async_functions_need_concurrent_definitions(engine):
    component = Component(engine, '(component (import "f" (func async)))')
    linker = Linker(engine)
    linker.allow_shadowing(True)
    root = linker.root()
    for define in (root.func_wrap, root.func_wrap_async, root.func_new_async):
        define("f", lambda *args: None)
        assert "declared `async func` in WIT" in message(linker, component)
    root.func_wrap_concurrent("f", lambda: None)
    linker.instantiate_pre(component)
    plain = Component(engine, '(component (import "f" (func)))')
    assert "plain (non-`async`) function" in message(linker, plain)


def test_modules_are_given_for_imports(engine):
    component = Component(engine, MODULE)
    assert component.resources_required() is None
    linker = Linker(engine)
    linker.allow_shadowing(True)
    root = linker.root()
    assert "module implementation is missing" in message(linker, component)

    def define(text):
        root.module("m", Module(engine, text))

    define('(module (func (export "run") (result i32) i32.const 1))')
    assert "module export `memory` not defined" in message(linker, component)
    define('(module (func (export "run")) (memory (export "memory") 1))')
    assert "module export `run` has the wrong type" in message(linker, component)
    define(
        '(module (import "env" "two" (func)) (func (export "run") (result i32) i32.const 1)'
        '(memory (export "memory") 1))'
    )
    assert "module import `env::two` not defined" in message(linker, component)
    define(
        '(module (import "env" "one" (func)) (func (export "run") (result i32) i32.const 1)'
        '(memory (export "memory") 1))'
    )
    assert "module import `env::one` has the wrong type" in message(linker, component)
    module = Module(
        engine,
        """(module
          (import "env" "one" (func $one (result i32)))
          (memory (export "memory") 2)
          (func (export "more"))
          (func (export "run") (result i32) (i32.add (call $one) (i32.const 1))))""",
    )
    root.module("m", module)
    store = Store(engine)
    instance = linker.instantiate(store, component)
    assert instance.get_func(store, "run").call(store) == 42
    assert instance.get_module(store, "m") is module
    assert list(instance.exports(store).root().modules()) == [("m", module)]
    with pytest.raises(WrongEngineError):
        root.module("m", Module(Engine(), "(module)"))


def test_unknown_modules_cannot_be_traps(engine):
    with pytest.raises(LinkError, match="unable to define module imports as traps"):
        Linker(engine).define_unknown_imports_as_traps(Component(engine, MODULE))


def test_unknown_imports_complete_what_is_there(engine):
    component = Component(
        engine,
        """(component
          (import "t" (type $t (sub resource)))
          (import "i" (instance (export "g" (func (result u32))) (export "h" (func)))))""",
    )
    linker = Linker(engine)
    linker.instance("i").func_wrap("g", lambda: 5)
    linker.define_unknown_imports_as_traps(component)
    linker.instantiate(Store(engine), component)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            '(component (import "f" (func $f)) (export "g" (func $f)))',
            "component export `g` is a reexport of an imported function which is not implemented",
        ),
        (
            '(component (component $c) (export "c" (component $c)))',
            "exporting a component from the root component is not supported",
        ),
        ('(component (import "c" (component)))', "root-level component imports are not supported"),
    ],
)
def test_what_the_root_may_not_do(engine, text, reason):
    with pytest.raises(ValidationError) as caught:
        Component(engine, text)
    assert reason in str(caught.value)


def test_modules_and_components_are_told_apart(engine):
    with pytest.raises(Exception, match="attempted to parse a wasm module with a component parser"):
        Component(engine, Module(engine, "(module)").info.data)
