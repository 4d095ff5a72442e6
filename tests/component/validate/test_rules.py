"""Rules that the official suite does not ask about, and the types that validation gives."""

from __future__ import annotations

import pytest

from asyncwasm.component.types import (
    Borrow,
    FuncType,
    InstanceType,
    List,
    Own,
    Primitive,
    ResourceId,
    TypeExport,
)
from asyncwasm.core.isa.features import ALL, Feature
from asyncwasm.core.types import FuncType as CoreFuncType
from asyncwasm.core.types import NumType
from asyncwasm.errors import ValidationError
from tests.component.binary.test_decoder import component, section
from tests.component.validate.check import accept, reject, validated

I32, I64 = NumType.I32, NumType.I64

CORE = """
  (core module $m
    (memory (export "mem") 1) (memory (export "mem64") i64 1)
    (memory (export "shared") 1 1 shared)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "realloc64") (param i64 i64 i64 i64) (result i64) unreachable)
    (func (export "cb") (param i32 i32 i32) (result i32) unreachable)
    (func (export "void")) (func (export "i") (result i32) unreachable)
    (func (export "p") (param i32)) (func (export "ii") (param i32 i32)))
  (core instance $i (instantiate $m))
  (alias core export $i "mem" (core memory $mem))
  (alias core export $i "mem64" (core memory $mem64))
  (alias core export $i "realloc" (core func $realloc))
  (alias core export $i "realloc64" (core func $realloc64))
  (alias core export $i "cb" (core func $cb))
"""


def core_type(definitions: str, features: frozenset[Feature] = ALL) -> CoreFuncType:
    """The type of the last core function."""
    return accept(f"(component {CORE} {definitions})", features).core_funcs[-1].func


def rejected(definitions: str, message: str, features: frozenset[Feature] = ALL) -> None:
    reject(f"(component {CORE} {definitions})", message, features)


IMPORTED = '(import "f" (func $f async (param "s" string) (result string)))'


def test_lowered_types():
    options = "(memory $mem) (realloc $realloc)"
    wide = "(memory $mem64) (realloc $realloc64)"
    assert core_type(f"{IMPORTED} (core func (canon lower (func $f) {options}))") == (
        CoreFuncType((I32, I32, I32))
    )
    assert core_type(f"{IMPORTED} (core func (canon lower (func $f) async {options}))") == (
        CoreFuncType((I32, I32, I32), (I32,))
    )
    assert core_type(f"{IMPORTED} (core func (canon lower (func $f) {wide}))") == (
        CoreFuncType((I64, I64, I64))
    )
    rejected(
        f"{IMPORTED} (core func (canon lower (func $f) {wide}))",
        "wasm_component_model_memory64",
        ALL - {Feature.COMPONENT_MODEL_MEMORY64},
    )
    params = " ".join(f'(param "p{i}" u64)' for i in range(5))
    five = f'(import "g" (func $g async {params}))'
    assert core_type(f"{five} (core func (canon lower (func $g)))") == CoreFuncType((I64,) * 5)
    assert core_type(f"{five} (core func (canon lower (func $g) async (memory $mem)))") == (
        CoreFuncType((I32,), (I32,))
    )


def test_joined_types():
    definitions = """
      (type $v' (variant (case "a" f32) (case "b" u32) (case "c" (tuple u8 f64)) (case "d")))
      (import "v" (type $v (eq $v')))
      (import "f" (func $f (param "v" $v)))
      (core func (canon lower (func $f)))"""
    assert core_type(definitions) == CoreFuncType((I32, I32, NumType.F64))


def test_builtin_types():
    stream = "(type $s (stream string))"
    read = f"{stream} (core func (canon stream.read $s async (memory $mem) (realloc $realloc)))"
    assert core_type(read) == CoreFuncType((I32, I32, I32), (I32,))
    returned = "(core func (canon task.return (result string) (memory $mem)))"
    assert core_type(returned) == CoreFuncType((I32, I32))
    assert core_type("(core func (canon waitable-set.wait (memory $mem64)))") == (
        CoreFuncType((I32, I64), (I32,))
    )


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        (
            f"{IMPORTED} (core func (canon lower (func $f) async (memory $mem)))",
            "`realloc` is required",
        ),
        (
            f"{IMPORTED} (core func (canon lower (func $f) async (callback $cb)"
            " (memory $mem) (realloc $realloc)))",
            "`callback` cannot be specified for lowerings",
        ),
        (
            f"{IMPORTED} (core func (canon lower (func $f) (memory $mem64) (realloc $realloc)))",
            "`realloc` uses a core function with an incorrect signature",
        ),
        (
            '(import "g" (func $g)) (core func (canon lower (func $g)'
            ' (memory (core memory $i "shared"))))',
            "unshared memory",
        ),
        (
            '(func (canon lift (core func $i "void") (callback $cb)))',
            "`callback` cannot be specified without `async`",
        ),
        (
            '(func async (canon lift (core func $i "i") async (callback $cb)'
            ' (post-return (core func $i "p"))))',
            "`post-return` cannot be specified with `async`",
        ),
        ("(core func (canon context.get i32 2))", "must be less than 2"),
        (
            "(core func (canon context.get i32 0)) (core func (canon context.set i64 0))",
            "must be for `i32`",
        ),
        ("(core func (canon task.return (memory $mem) (realloc $realloc)))", "`realloc` cannot"),
        ("(type $f (future)) (core func (canon stream.new $f))", "requires a stream type"),
        ("(type $s (stream u8)) (core func (canon stream.read $s async))", "`memory` is required"),
        (
            "(type $s (stream string)) (core func (canon stream.read $s async (memory $mem)))",
            "`realloc` is required",
        ),
        ("(core func (canon error-context.new))", "`memory` is required"),
        (
            "(core type $t (func)) (core func (canon thread.new-indirect $t 0))",
            "must take a single `i32`",
        ),
    ],
)
def test_canonical_definitions(definitions: str, message: str):
    rejected(definitions, message)


def test_stackful_lift():
    lift = '(func async (canon lift (core func $i "void") async))'
    accept(f"(component {CORE} {lift})")
    features = ALL - {Feature.COMPONENT_MODEL_ASYNC_STACKFUL}
    rejected(lift, "`callback` is required.*wasm_component_model_async_stackful", features)


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        ("(type (map f32 u8))", "map key"),
        ("(type (list u8 0))", "more than zero"),
        (
            '(type $r (resource (rep i32))) (import "r" (type (eq $r)))',
            "local resource type found in imports",
        ),
        (
            '(type (component (export "r" (type $r (sub resource)))'
            ' (import "c" (component (import "q" (type (eq $r)))))))',
            "local resource type found in imports",
        ),
        ('(import "r" (type $r (sub resource))) (type (stream (borrow $r)))', "borrow"),
        ('(import "r" (type $r (sub resource))) (type (future (borrow $r)))', "borrow"),
        ("(core type $a (module)) (core type (array (ref $a)))", "refers to a module type"),
        (
            '(import "f" (func $f)) (component $c (import "f" (func async)))'
            ' (instance (instantiate $c (with "f" (func $f))))',
            "expected async func, found func",
        ),
    ],
)
def test_types(definitions: str, message: str):
    reject(f"(component {definitions})", message)


def test_values_are_refused():
    message = "support for component model `value`s is not enabled"
    reject(component(section(10, b"\1\0\1a\2\1\x7f")), message)
    reject(component(section(12, b"\1\x7f\1\0")), message)
    reject(component(section(9, b"\0\0\0")), message)


def test_instantiated_resources():
    scope = accept("""(component
      (component $c
        (import "in" (type $in (sub resource)))
        (type $own (resource (rep i32)))
        (export $out "out" (type $own))
        (export $same "same" (type $in))
        (core func $drop (canon resource.drop $own))
        (func (export "f") (param "a" (own $out)) (canon lift (core func $drop)))
        (export "g" (func 0) (func (param "a" (own $out)))))
      (type $r (resource (rep i32)))
      (instance $a (instantiate $c (with "in" (type $r))))
      (instance $b (instantiate $c (with "in" (type $r))))
      (export "a" (instance $a)))""")
    first, second, exported = scope.instances
    assert first is exported
    own = scope.types[0]
    assert isinstance(own, ResourceId)
    outs = []
    for instance in (first, second):
        (fresh,) = instance.resources
        assert instance.resources[fresh] == ("out",)
        assert instance.exports["out"] == TypeExport(fresh)
        assert instance.exports["same"] == TypeExport(own)
        assert instance.exports["f"] == FuncType((("a", Own(fresh)),))
        outs.append(fresh)
    assert outs[0] is not outs[1]
    assert scope.type.defined == {own: ("a", "same"), outs[0]: ("a", "out"), outs[1]: None}
    nested = scope.nested[0].type
    assert list(nested.imported.values()) == [("in",)]
    assert list(nested.defined.values()) == [("out",)]


def test_imported_instances_are_opened():
    scope = accept("""(component
      (type $t (instance
        (export "r" (type $r (sub resource)))
        (export "i" (instance (export "q" (type (sub resource)))))
        (export "f" (func (param "x" (borrow $r)) (result (list u8))))))
      (import "a" (instance (type $t)))
      (import "b" (instance (type $t))))""")
    template = scope.types[0]
    assert isinstance(template, InstanceType)
    assert list(template.resources.values()) == [("r",), ("i", "q")]
    assert [*scope.type.imported.values()] == [
        ("a", "r"),
        ("a", "i", "q"),
        ("b", "r"),
        ("b", "i", "q"),
    ]
    for instance in scope.instances:
        resource = next(iter(instance.resources))
        assert instance.exports["f"] == FuncType((("x", Borrow(resource)),), List(Primitive.U8))
    assert len({*template.resources, *scope.type.imported}) == 6


def test_visibility_is_of_one_instance():
    """What names the resource of one instance does not name that of another."""
    definitions = """
      (component $c
        (type $r (resource (rep i32)))
        (export $out "r" (type $r))
        (core func $drop (canon resource.drop $r))
        (func (export "f") (param "a" (own $out)) (canon lift (core func $drop))))
      (instance $a (instantiate $c))
      (instance $b (instantiate $c))
      (export "r" (instance $a))"""
    accept(f'(component {definitions} (export "f" (func $a "f")))')
    reject(
        f'(component {definitions} (export "f" (func $b "f")))',
        "func not valid to be used as export",
    )


def test_ascribed_resources_are_other_ones():
    scope = accept("""(component
      (type $r (resource (rep i32)))
      (export "r1" (type $r))
      (export "r2" (type $r) (type (sub resource))))""")
    one, two = (scope.type.exports[name] for name in ("r1", "r2"))
    assert one == TypeExport(scope.types[0])
    assert two != one
    assert list(scope.type.defined.values()) == [("r1",), ("r2",)]


def test_subtypes_of_components():
    outer = """(component
      (component $c {actual})
      (component $d (import "c" (component {expected})))
      (instance (instantiate $d (with "c" (component $c)))))"""
    resource = '(import "r" (type $r (sub resource)))'
    takes = '(import "f" (func (param "x" (own $r))))'
    accept(outer.format(actual="", expected=resource + takes))
    accept(outer.format(actual=resource + takes, expected=resource + takes))
    reject(outer.format(actual=resource + takes, expected=resource), "missing expected import `f`")
    other = '(import "q" (type $q (sub resource)))'
    wrong = takes.replace("$r", "$q")
    reject(
        outer.format(actual=resource + takes, expected=resource + other + wrong),
        "resource types are not the same",
    )
    accept(
        outer.format(
            actual=f'{resource} (export "o" (type $r))',
            expected=f'{resource} (export "o" (type (eq $r)))',
        )
    )
    accept(
        outer.format(
            actual=f'{resource} (export "o" (type $r))',
            expected=f'{resource} (export "o" (type (sub resource)))',
        )
    )
    reject(
        outer.format(
            actual='(type $r (resource (rep i32))) (export "o" (type $r))',
            expected=f'{resource} (export "o" (type (eq $r)))',
        ),
        "resource types are not the same",
    )


def test_core_modules_have_offsets_in_the_component():
    module = b"\0asm\1\0\0\0\1\5\1\x60\0\1\x7f\3\2\1\0\x0a\4\1\2\0\x0b"
    with pytest.raises(ValidationError, match="type mismatch") as caught:
        validated(component(section(1, module)))
    assert caught.value.offset is not None
    assert caught.value.offset > 10 + 20
    scope = accept("(component (core module (func)))")
    assert len(scope.modules[0].bodies) == 1
