"""Names with versions, and what components say of themselves."""

from __future__ import annotations

import pytest

from asyncwasm import Engine, Module, Store
from asyncwasm.component import Component, Linker, ResourceType
from asyncwasm.component.names import NameMap, alternate, find_name
from asyncwasm.component.types import (
    Borrow,
    FuncType,
    InstanceType,
    ModuleType,
    Own,
    Primitive,
    Record,
    TypeExport,
)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("a:b/c@1.2.3", "a:b/c@1"),
        ("a:b/c@10.0.0", "a:b/c@10"),
        ("a:b/c@0.2.3", "a:b/c@0.2"),
        ("a:b/c@0.0.3", None),
        ("a:b/c@1.0.0-rc.1", None),
        ("a:b/c@1.0.0+build.5", "a:b/c@1"),
        ("a:b/c@1.0", None),
        ("a:b/c@01.0.0", None),
        ("a:b/c", None),
        ("plain", None),
    ],
)
def test_versions_have_a_key_of_what_they_are_compatible_with(name, key):
    found = alternate(name)
    assert (found and found[0]) == key


def test_the_exact_name_comes_first_then_the_highest_compatible_one():
    names = NameMap()
    for version in ("0.2.1", "0.2.10", "0.2.9", "0.3.0", "1.0.0-beta"):
        names.set(f"a:b/c@{version}", version)
    assert names.find("a:b/c@0.2.1") == "0.2.1"
    assert names.find("a:b/c@0.2.2") == names.find("a:b/c@0.2.99") == "0.2.10"
    assert names.find("a:b/c@0.3.7") == "0.3.0"
    assert names.find("a:b/c@0.4.0") is None
    assert names.find("a:b/c@1.0.0") is None
    assert names.find("a:b/c@1.0.0-beta") == "1.0.0-beta"
    assert names.exact("a:b/c@0.2.2") is None
    assert find_name(dict(names.items()), "a:b/c@0.2.2") == "0.2.10"
    assert find_name(dict(names.items()), "a:b/d@0.2.2") is None


TEXT = """
(component
  (import "thing" (type $thing (sub resource)))
  (import "host" (instance $host
    (type $point' (record (field "x" u32)))
    (export "point" (type (eq $point')))
    (alias outer 1 $thing (type $thing'))
    (export "use" (func (param "t" (borrow $thing'))))))
  (import "m" (core module (import "a" "b" (func)) (export "c" (memory 1))))
  (core module $m (func (export "f") (result i32) (i32.const 1)))
  (core instance $i (instantiate $m))
  (type $mine (resource (rep i32)))
  (export $Mine "mine" (type $mine))
  (func (export "make") (result (own $Mine)) (canon lift (core func $i "f")))
  (core module $out)
  (export "out" (core module $out)))
"""


def test_a_component_says_what_it_imports_and_exports():
    component = Component(Engine(), TEXT)
    ty = component.component_type()
    assert list(ty.imports) == ["thing", "host", "m"]
    thing = ty.imports["thing"]
    assert isinstance(thing, TypeExport)
    assert isinstance(thing.type, ResourceType)
    assert not thing.type.is_host
    host = ty.imports["host"]
    assert isinstance(host, InstanceType)
    assert host.exports["point"] == TypeExport(Record((("x", Primitive.U32),)))
    assert host.exports["use"] == FuncType((("t", Borrow(thing.type)),))
    assert isinstance(ty.imports["m"], ModuleType)
    assert list(ty.imports["m"].imports) == [("a", "b")]
    mine = ty.exports["mine"].type
    assert mine != thing.type
    assert ty.exports["make"] == FuncType((), Own(mine))
    assert component.component_type() is ty
    item, index = component.get_export(None, "make")
    assert item == ty.exports["make"]
    assert component.get_export_index(None, "make").item is index.item
    assert component.get_export(None, "take") is None
    assert component.get_export(index, "below") is None


def test_an_instance_says_it_with_resource_types_of_its_own():
    engine = Engine()
    text = TEXT.replace(
        '(import "m" (core module (import "a" "b" (func))', '(import "m" (core module'
    )
    component = Component(engine, text)
    linker = Linker(engine)
    root = linker.root()
    root.resource("thing", ResourceType.host(int))
    root.instance("host").func_wrap("use", lambda t: None)
    root.module("m", Module(engine, '(module (memory (export "c") 1))'))
    store = Store(engine)
    one, two = (linker.instantiate(store, component) for _ in range(2))
    makes = [i.get_func(store, "make").ty(store).result for i in (one, two)]
    assert makes[0] == Own(one.get_resource(store, "mine"))
    assert makes[0] != makes[1]
    assert one.get_module(store, "out") is two.get_module(store, "out")
    assert one.get_module(store, "make") is None
    assert one.get_resource(store, "make") is None
    assert one.get_func(store, "mine") is None
