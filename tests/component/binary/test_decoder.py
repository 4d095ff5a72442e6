"""The binary format of components, byte by byte."""

from __future__ import annotations

import pytest

from asyncwasm.component.binary import decode_component, is_component
from asyncwasm.component.syntax import (
    CanonBuiltin,
    CanonLift,
    CanonLower,
    ComponentDef,
    ComponentTypeDef,
    CoreModuleDef,
    CustomSection,
    EqBound,
    ExportAlias,
    ExternDesc,
    FuncDef,
    ImportDecl,
    InstanceTypeDef,
    Name,
    OuterAlias,
    RecordDef,
    Sort,
    Start,
    StringEncoding,
    SubResource,
    TypeDef,
    ValueDef,
    VariantDef,
)
from asyncwasm.component.types import Primitive
from asyncwasm.core.binary.leb128 import write_unsigned
from asyncwasm.core.isa.features import ALL, Feature
from asyncwasm.core.module import Span
from asyncwasm.core.types import NumType
from asyncwasm.errors import MalformedError, ResourceLimitError, ValidationError

PREAMBLE = b"\0asm\x0d\0\1\0"
MODULE = b"\0asm\1\0\0\0"


def section(id: int, *content: bytes) -> bytes:
    data = b"".join(content)
    return bytes((id,)) + write_unsigned(len(data)) + data


def component(*sections: bytes) -> bytes:
    return PREAMBLE + b"".join(sections)


def decode(*sections: bytes) -> ComponentDef:
    return decode_component(component(*sections))


def malformed(data: bytes, message: str, offset: int) -> None:
    with pytest.raises(MalformedError, match=message) as caught:
        decode_component(data)
    assert caught.value.offset == offset


def test_preamble():
    assert decode_component(PREAMBLE).content == Span(0, 8)
    assert is_component(PREAMBLE)
    assert not is_component(MODULE)
    malformed(b"\0as", "unexpected end-of-file", 3)
    malformed(b"\0asn\x0d\0\1\0", "magic header", 0)
    malformed(PREAMBLE[:7], "unexpected end-of-file", 7)
    malformed(MODULE, "expected a version header for a component", 4)
    malformed(b"\0asm\x0e\0\1\0", "unknown binary version", 4)


def test_sections_keep_their_places():
    found = decode(
        section(0, b"\1a", b"xyz"),
        section(1, MODULE),
        section(7, b"\2\x73\x7f"),
        section(7, b"\0"),
        section(4, PREAMBLE, section(0, b"\1b")),
        section(0, b"\0"),
    )
    module, string, boolean, nested = found.definitions
    assert module == CoreModuleDef(Span(17, 25), 15)
    assert string == TypeDef(Primitive.STRING, 28)
    assert boolean == TypeDef(Primitive.BOOL, 29)
    assert isinstance(nested, ComponentDef)
    assert (nested.content, nested.offset) == (Span(35, 47), 33)
    assert nested.customs == [CustomSection("b", Span(47, 47), 43, 0)]
    assert found.section_starts == [0, 1, 3, 3]
    assert [(c.name, c.before) for c in found.customs] == [("a", 0), ("", 4)]


def test_types():
    record, variant, func, instance, comp = decode(
        section(
            7,
            b"\5",
            b"\x72\1\1a\x00",
            b"\x71\2\1a\0\0\1b\1\x79\0",
            b"\x43\1\1p\x7f\0\x73",
            b"\x42\2\1\x73\4\0\1t\3\0\0",
            b"\x41\1\3\0\1r\3\1",
        )
    ).definitions
    assert isinstance(record, TypeDef)
    assert record.type == RecordDef((("a", 0),))
    assert isinstance(variant, TypeDef)
    assert variant.type == VariantDef((("a", None), ("b", Primitive.U32)))
    assert isinstance(func, TypeDef)
    assert func.type == FuncDef((("p", Primitive.BOOL),), Primitive.STRING, True)
    assert isinstance(instance, TypeDef)
    assert isinstance(instance.type, InstanceTypeDef)
    assert len(instance.type.decls) == 2
    assert isinstance(comp, TypeDef)
    assert isinstance(comp.type, ComponentTypeDef)
    (imported,) = comp.type.decls
    assert isinstance(imported, ImportDecl)
    assert imported.desc == ExternDesc(Sort.TYPE, SubResource())


def test_names():
    plain, attributed = decode(
        section(
            10,
            b"\2",
            b"\1\1a\3\0\5",
            b"\2\5a:b/c\3\0\5d:e/f\1\2.1\2\1x\5\0",
        )
    ).definitions
    assert isinstance(plain, ImportDecl)
    assert (plain.name, plain.desc) == (Name("a", form=1), ExternDesc(Sort.TYPE, EqBound(5)))
    assert isinstance(attributed, ImportDecl)
    assert attributed.name == Name("a:b/c", "d:e/f", ".1", "x", 2)
    assert attributed.desc == ExternDesc(Sort.INSTANCE, 0)


def test_aliases():
    export, core, outer = decode(
        section(6, b"\3", b"\1\0\2\1f", b"\0\4\1\3\1t", b"\0\x11\2\1\0")
    ).definitions
    assert export == ExportAlias(Sort.FUNC, 2, "f", False, 11)
    assert core == ExportAlias(Sort.CORE_TAG, 3, "t", True, 16)
    assert outer == OuterAlias(Sort.CORE_MODULE, 1, 0, 22)


def test_canonical_definitions():
    lift, lower, wait, context, returned = decode(
        section(
            8,
            b"\5",
            b"\0\0\1\3\1\3\2\4\3\7",
            b"\1\0\4\2\6\2",
            b"\x20\1\2",
            b"\x0a\x7e\1",
            b"\x09\0\x73\0",
        )
    ).definitions
    assert isinstance(lift, CanonLift)
    assert (lift.core_func, lift.type) == (1, 7)
    assert lift.options.order == (1, 3, 4)
    assert lift.options.string_encoding is StringEncoding.UTF16
    assert (lift.options.memory, lift.options.realloc) == (2, 3)
    assert isinstance(lower, CanonLower)
    assert (lower.func, lower.options.is_async) == (4, True)
    assert wait == CanonBuiltin("waitable-set.wait", 27, cancellable=True, memory=2)
    assert context == CanonBuiltin("context.get", 30, slot=1, slot_type=NumType.I64)
    assert isinstance(returned, CanonBuiltin)
    assert returned.result is Primitive.STRING


def test_start_and_values():
    start, value = decode(section(9, b"\2\2\0\1\1"), section(12, b"\1\x7f\1\0")).definitions
    assert start == Start(2, (0, 1), 1, 10)
    assert value == ValueDef(Primitive.BOOL, Span(20, 21), 18)


@pytest.mark.parametrize(
    ("id", "content", "message", "offset"),
    [
        (13, b"", "malformed section id", 8),
        (7, b"\2\x73", "unexpected end-of-file", 10),
        (7, b"\1\x73\x73", "section size mismatch", 12),
        (7, b"\1\x70\x60", "invalid leading byte \\(0x60\\) for component value type", 12),
        (3, b"\1\0\x60\0\0", "invalid leading byte \\(0x60\\) for sub type", 12),
        (3, b"\1\x60\1\1\0", "malformed value type", 13),
        (3, b"\1\x50\1\0\1a\1b\2\x80", "malformed limits flags", 19),
        (3, b"\1\x50\1\0\1a\1b\2\0" + b"\x80" * 12, "integer representation too long", 19),
        (6, b"\1\0\x10\1\0\1a", "invalid leading byte \\(0x10\\) for external kind", 11),
        (6, b"\1\0\0\0\0\1a", "invalid leading byte \\(0x0\\) for component external kind", 12),
    ],
)
def test_malformed(id: int, content: bytes, message: str, offset: int):
    malformed(component(section(id, content)), message, offset)


GATED = [
    (section(7, b"\1\x66\0"), Feature.COMPONENT_MODEL_ASYNC),
    (section(7, b"\1\x43\0\1\0"), Feature.COMPONENT_MODEL_ASYNC),
    (section(8, b"\1\1\0\0\1\6"), Feature.COMPONENT_MODEL_ASYNC),
    (section(8, b"\1\x24"), Feature.COMPONENT_MODEL_ASYNC),
    (section(8, b"\1\6\1"), Feature.COMPONENT_MODEL_MORE_ASYNC_BUILTINS),
    (section(8, b"\1\x0f\0\0"), Feature.COMPONENT_MODEL_MORE_ASYNC_BUILTINS),
    (section(8, b"\1\x0c\1"), Feature.COMPONENT_MODEL_ASYNC_STACKFUL),
    (section(8, b"\1\x26"), Feature.COMPONENT_MODEL_THREADING),
    (section(8, b"\1\x1e"), Feature.COMPONENT_MODEL_ERROR_CONTEXT),
    (section(7, b"\1\x70\x64"), Feature.COMPONENT_MODEL_ERROR_CONTEXT),
    (section(7, b"\1\x63\x73\x73"), Feature.COMPONENT_MODEL_MAP),
    (section(7, b"\1\x67\x73\2"), Feature.COMPONENT_MODEL_FIXED_LENGTH_LISTS),
    (section(7, b"\1\x3f\x7e\0"), Feature.COMPONENT_MODEL_MEMORY64),
    (section(8, b"\1\x0a\x7e\0"), Feature.COMPONENT_MODEL_MEMORY64),
    (section(10, b"\1\2\1a\1\2\1x\1\0"), Feature.COMPONENT_MODEL_IMPLEMENTS),
    (b"", Feature.COMPONENT_MODEL),
]


@pytest.mark.parametrize(("data", "feature"), GATED)
def test_gated(data: bytes, feature: Feature):
    decode_component(component(data), ALL)
    with pytest.raises(ValidationError, match=f"see `{feature.switch}`"):
        decode_component(component(data), ALL - {feature})


def test_nesting_is_bounded():
    data = PREAMBLE
    for _ in range(120):
        data = component(section(4, data))
    with pytest.raises(ResourceLimitError, match="levels of nesting"):
        decode_component(data)
    type = b"\x41\0"
    for _ in range(120):
        type = b"\x41\1\1" + type
    with pytest.raises(ResourceLimitError, match="levels of nesting"):
        decode(section(7, b"\1" + type))


def test_counts_are_bounded_by_bytes():
    for id in (2, 3, 5, 6, 7, 8, 10, 11, 12):
        malformed(component(section(id, b"\xff\xff\xff\xff\x0f")), "unexpected end-of-file", 10)
