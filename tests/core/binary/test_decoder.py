"""The preamble and the sequence of sections."""

from __future__ import annotations

import contextlib
import itertools

import pytest

from asyncwasm.core.binary import limits
from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.isa.features import ALL, Feature
from asyncwasm.core.module import CustomSection, ExternKind, SegmentMode, Span
from asyncwasm.core.types import (
    FUNCREF,
    I32,
    I64,
    AbsHeapType,
    ExternFunc,
    FuncType,
    GlobalType,
    IndexType,
    Limits,
    MemoryType,
    RefType,
    TableType,
)
from asyncwasm.errors import MalformedError, ResourceLimitError, ValidationError
from tests.core.binary import build as b


def malformed(data: bytes, message: str, offset: int | None = None) -> None:
    with pytest.raises(MalformedError, match=message) as caught:
        decode_module(data, ALL)
    assert caught.value.offset is not None
    if offset is not None:
        assert caught.value.offset == offset


def test_an_empty_module():
    info = decode_module(b.HEADER, ALL)
    assert (info.types, info.funcs, info.exports, info.start) == ([], [], {}, None)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "unexpected end"),
        (b"\0as", "unexpected end"),
        (b"asm\0", "magic header not detected"),
        (b"\0asm\x01\0", "unexpected end"),
        (b"\0asm\x02\0\0\0", "unknown binary version"),
        (b"\0asm\x0d\0\x01\0", "expected a core module, found a component"),
    ],
)
def test_preambles(data: bytes, message: str):
    malformed(data, message)


def test_any_buffer_is_read():
    assert decode_module(bytearray(b.HEADER), ALL).data == b.HEADER  # type: ignore[arg-type]


def test_a_module_of_everything():
    info = decode_module(
        b.module(
            b.custom("first", b"abc"),
            b.section(b.TYPE, b.func_type([b.I32], [b.I64]), b.func_type()),
            b.section(
                b.IMPORT,
                b.name("m") + b.name("f") + b"\0\0",
                b.name("m") + b.name("t") + b"\x01\x70\x01\x02\x03",
                b.name("") + b.name("g") + b"\x03\x7f\x01",
            ),
            b.section(b.FUNC, b"\x01"),
            b.section(b.TABLE, b"\x40\0\x70\0\0\xd0\x70\x0b"),
            b.section(b.MEMORY, b"\x07\x01\x02"),
            b.section(b.TAG, b"\0\x01"),
            b.section(b.GLOBAL, b"\x7e\0\x42\x7f\x0b"),
            b.section(b.EXPORT, b.name("f") + b"\0\x01", b.name("mem") + b"\x02\0"),
            b.raw_section(b.START, b"\x01"),
            b.section(b.ELEM, b"\0\x41\0\x0b\x01\x01", b"\x05\x70\x01\xd2\0\x0b"),
            b.raw_section(b.DATA_COUNT, b"\x02"),
            b.section(b.CODE, b.body(b"\x01")),
            b.section(b.DATA, b"\x01\x02hi", b"\x02\0\x42\0\x0b\x01!"),
            b.custom("last"),
        ),
        ALL,
    )
    first, second = info.types
    assert first.func == FuncType((I32,), (I64,))
    assert info.funcs == [first, second]
    assert [(i.module, i.name) for i in info.imports] == [("m", "f"), ("m", "t"), ("", "g")]
    assert info.imports[0].type == ExternFunc(first)
    assert info.tables == [TableType(FUNCREF, Limits(2, 3)), TableType(FUNCREF, Limits(0))]
    assert [bool(init) for init in info.table_inits] == [True]
    assert info.memories == [MemoryType(Limits(1, 2), IndexType.I64, shared=True)]
    assert info.globals == [GlobalType(I32, True), GlobalType(I64)]
    assert [tag.type for tag in info.tags] == [second]
    assert {e.name: (e.kind, e.index) for e in info.exports.values()} == {
        "f": (ExternKind.FUNC, 1),
        "mem": (ExternKind.MEMORY, 0),
    }
    assert info.start == 1
    active, passive = info.elems
    assert (active.mode, active.table_index, active.functions) == (SegmentMode.ACTIVE, 0, [1])
    assert active.type == RefType(False, AbsHeapType.FUNC)
    assert (passive.mode, passive.functions, passive.type) == (SegmentMode.PASSIVE, None, FUNCREF)
    assert passive.expressions is not None
    assert _text(info.data, passive.expressions[0]) == b"\xd2\0\x0b"
    assert info.data_count == 2
    assert [(d.mode, d.memory_index) for d in info.datas] == [
        (SegmentMode.PASSIVE, None),
        (SegmentMode.ACTIVE, 0),
    ]
    assert [_text(info.data, d.content) for d in info.datas] == [b"hi", b"!"]
    assert [_text(info.data, body) for body in info.bodies] == [b"\0\x01\x0b"]
    assert (info.imported_funcs, info.imported_tables, info.imported_globals) == (1, 1, 1)
    assert (info.imported_memories, info.imported_tags) == (0, 0)


def _text(data: bytes, span: Span) -> bytes:
    return data[span.start : span.end]


def test_custom_sections_keep_their_place():
    data = b.module(
        b.custom("a", b"12"),
        b.section(b.TYPE),
        b.section(b.CODE),
        b.custom("b"),
        b.section(b.DATA),
        b.custom("a"),
    )
    assert decode_module(data, ALL).customs == [
        CustomSection("a", Span(12, 14), 8, 0),
        CustomSection("b", Span(24, 24), 20, 2),
        CustomSection("a", Span(31, 31), 27, 3),
    ]


def test_sections_come_in_order_and_once():
    order = [1, 2, 3, 4, 5, 13, 6, 7, 9, 10, 11]
    empty = {id: b.section(id) for id in order}
    decode_module(b.module(*empty.values()), ALL)
    for first, second in itertools.pairwise(order):
        for ids in ((second, first), (first, first)):
            data = b.module(*(empty[id] for id in ids))
            malformed(data, "unexpected content after last section", 11)


@pytest.mark.parametrize(
    ("sections", "message", "offset"),
    [
        (b"\x0e\x01\0", "malformed section id", 8),
        (b"\x01", "unexpected end", None),
        (b"\x01\x80\x80\x80\x80\x10", "integer too large", 9),
        (b"\x01\x80\x80\x80\x80\x80\0", "integer representation too long", 9),
        (b"\x01\x02\0", "unexpected end of section or function", 8),
        (b"\x01\x02\0\0", "section size mismatch", 11),
        (b"\x01\x03\x01\x60\0\0", "unexpected end", None),
        (b"\0\0", "unexpected end|length out of bounds", None),
        (b"\0\x02\x02a", "length out of bounds", None),
        (b"\0\x02\x01\xff", "malformed UTF-8 encoding", None),
        (b"\0\x04\x03\xed\xa0\x80", "malformed UTF-8 encoding", None),
        (b.raw_section(b.IMPORT, b"\x01\0\0\x05"), "malformed import kind", None),
        (b.raw_section(b.IMPORT, b"\x01\0\0\x03\x7f\x02"), "malformed mutability", None),
        (b.raw_section(b.EXPORT, b"\x01\0\x05\0"), "malformed export kind", None),
        (b.raw_section(b.TABLE, b"\x01\x7f\0\0"), "malformed reference type", None),
        (b.raw_section(b.TABLE, b"\x01\x70\x02\0"), "malformed limits flags", None),
        (b.raw_section(b.TABLE, b"\x01\x40\x01\x70\0\0"), "malformed table", None),
        (b.raw_section(b.MEMORY, b"\x01\x10\0"), "malformed limits flags", None),
        (b.raw_section(b.MEMORY, b"\x01\x08\0\x40"), "invalid custom page size", None),
        (b.raw_section(b.ELEM, b"\x01\x08"), "malformed elements segment kind", None),
        (b.raw_section(b.ELEM, b"\x01\x01\x01\0"), "malformed element kind", None),
        (b.raw_section(b.DATA, b"\x01\x03\0"), "malformed data segment kind", None),
        (b.raw_section(b.DATA, b"\x01\x01\x02a"), "unexpected end of section", None),
        (b.raw_section(b.GLOBAL, b"\x01\x7f\0\x41\0"), "unexpected end", None),
        (b.raw_section(b.GLOBAL, b"\x01\x7f\0\xff\x0b"), "illegal opcode ff", None),
        (b.raw_section(b.GLOBAL, b"\x01\x7f\0\x05\x0b"), "else without a matching if", None),
        (b.raw_section(b.GLOBAL, b"\x01\x7f\0\x02\x40\x0b"), "unexpected end", None),
        (b.section(b.TYPE, b"\x61"), "malformed definition type", None),
        (b.section(b.TYPE, b"\x60\x01\x40\0"), "malformed value type", None),
        (b.section(b.FUNC) + b.section(b.CODE, b.body(b"")), "inconsistent lengths", None),
        (b.raw_section(b.DATA_COUNT, b"\x01"), "inconsistent lengths", None),
        (b.raw_section(b.DATA_COUNT, b"\0") + b.section(b.DATA, b"\x01\0"), "inconsistent", None),
    ],
)
def test_malformed_sections(sections: bytes, message: str, offset: int | None):
    malformed(b.module(sections), message, offset)


def test_functions_need_bodies():
    types = b.section(b.TYPE, b.func_type())
    malformed(b.module(types, b.section(b.FUNC, b"\0")), "inconsistent lengths")


def test_a_name_ends_with_its_section():
    """The name's length would reach into the next section."""
    custom = b"\0\x02\x03a"
    malformed(b.module(custom, b.section(b.TYPE)), "length out of bounds")


def test_a_section_is_not_read_past_its_end():
    """The type's index is cut off; what follows must not be taken for it."""
    types = b.raw_section(b.TYPE, b"\x01\x60\x01\x64")
    malformed(b.module(types, b.section(b.IMPORT)), "unexpected end")


@pytest.mark.parametrize("id", [1, 2, 3, 4, 5, 13, 6, 7, 9, 10, 11])
def test_counts_are_checked_before_anything_is_done(id: int):
    malformed(b.module(b.raw_section(id, b.u(1_000_000_000))), "unexpected end", 10)


def test_counts_inside_of_items_are_checked_too():
    billion = b.u(1_000_000_000)
    for content in (b"\x60" + billion, b"\x4e" + billion, b"\x5f" + billion, b"\x50" + billion):
        malformed(b.module(b.section(b.TYPE, content)), "unexpected end")
    for content in (b"\x01\0" + billion, b"\x05\x70" + billion, b"\0\x41\0\x0b" + billion):
        malformed(b.module(b.section(b.ELEM, content)), "unexpected end")
    malformed(b.module(b.section(b.DATA, b"\x01" + billion)), "unexpected end")


def test_duplicate_exports():
    export = b.name("a") + b"\0\0"
    with pytest.raises(ValidationError, match="duplicate export name `a`"):
        decode_module(b.module(b.section(b.EXPORT, export, export)), ALL)


def test_unknown_types():
    for id, item in ((b.FUNC, b"\0"), (b.TAG, b"\0\0"), (b.IMPORT, b"\0\0\0\0")):
        with pytest.raises(ValidationError, match="unknown type 0"):
            decode_module(b.module(b.section(id, item)), ALL)


def test_functions_have_function_types():
    data = b.module(b.section(b.TYPE, b"\x5f\0"), b.section(b.FUNC, b"\0"))
    with pytest.raises(ValidationError, match="type 0 is not a function type"):
        decode_module(data, ALL)


@pytest.mark.parametrize(
    ("sections", "what"),
    [
        (b.section(b.TYPE, b.func_type([b.I32] * 1001)), "parameters"),
        (b.section(b.TYPE, b.func_type([], [b.I32] * 1001)), "results"),
        (b.section(b.TYPE, b"\x5f" + b.vec(*[b"\x7f\0"] * 10_001)), "fields"),
        (b.section(b.MEMORY, *[b"\0\0"] * 101), "memories"),
        (b.section(b.TABLE, *[b"\x70\0\0"] * 100_001), "tables"),
    ],
)
def test_limits(sections: bytes, what: str):
    with pytest.raises(ResourceLimitError, match=f"{what} exceed the limit of"):
        decode_module(b.module(sections), ALL)


def test_imports_count_towards_limits():
    imports = b.section(b.IMPORT, *[b"\0\0\x02\0\0"] * 60)
    decode_module(b.module(imports), ALL)
    with pytest.raises(ResourceLimitError, match="120 memories"):
        decode_module(b.module(imports, b.section(b.MEMORY, *[b"\0\0"] * 60)), ALL)


def test_the_size_of_a_body_is_limited():
    code = b"\x01" * limits.MAX_BODY_BYTES
    with pytest.raises(ResourceLimitError, match="bytes in a body"):
        decode_module(b.function(code), ALL)


FEATURES = [
    (b.section(b.TYPE, b.func_type([b.V128])), Feature.SIMD),
    (b.section(b.TYPE, b.func_type([b.FUNCREF])), Feature.REFERENCE_TYPES),
    (b.section(b.TYPE, b.func_type([0x6E])), Feature.GC),
    (b.section(b.TYPE, b.func_type([0x69])), Feature.EXCEPTIONS),
    (b.section(b.TYPE, b"\x60\x01\x64\x70\0"), Feature.FUNCTION_REFERENCES),
    (b.section(b.TYPE, b.func_type([], [b.I32, b.I32])), Feature.MULTI_VALUE),
    (b.section(b.TYPE, b"\x5f\0"), Feature.GC),
    (b.section(b.TYPE, b"\x5e\x7f\0"), Feature.GC),
    (b.section(b.TYPE, b"\x4e\0"), Feature.GC),
    (b.section(b.TYPE, b"\x50\0\x60\0\0"), Feature.GC),
    (b.section(b.TABLE, b"\x6f\0\0"), Feature.REFERENCE_TYPES),
    (b.section(b.TABLE, b"\x64\x70\0\0"), Feature.FUNCTION_REFERENCES),
    (b.section(b.TABLE, b"\x40\0\x70\0\0\xd0\x70\x0b"), Feature.FUNCTION_REFERENCES),
    (b.section(b.TABLE, b"\x70\x04\0"), Feature.MEMORY64),
    (b.section(b.MEMORY, b"\x04\0"), Feature.MEMORY64),
    (b.section(b.MEMORY, b"\x03\0\0"), Feature.THREADS),
    (b.section(b.MEMORY, b"\x08\0\0"), Feature.CUSTOM_PAGE_SIZES),
    (b.section(b.IMPORT, b"\0\0\x03\x7f\x01"), Feature.MUTABLE_GLOBAL),
    (b.section(b.TAG), Feature.EXCEPTIONS),
    (b.section(b.TYPE, b.func_type()) + b.section(b.IMPORT, b"\0\0\x04\0\0"), Feature.EXCEPTIONS),
    (b.raw_section(b.DATA_COUNT, b"\0"), Feature.BULK_MEMORY),
    (b.section(b.DATA, b"\x01\0"), Feature.BULK_MEMORY),
    (b.section(b.ELEM, b"\x01\0\0"), Feature.BULK_MEMORY),
    (b.section(b.ELEM, b"\x03\0\0"), Feature.REFERENCE_TYPES),
]


@pytest.mark.parametrize(("sections", "feature"), FEATURES)
def test_features_switched_off(sections: bytes, feature: Feature):
    data = b.module(sections)
    decode_module(data, ALL)
    with pytest.raises(ValidationError, match=f"not enabled -- see `{feature.switch}`") as caught:
        decode_module(data, ALL - {feature})
    assert caught.value.offset is not None


def test_the_first_version_of_the_language_needs_no_features():
    decode_module(
        b.module(
            b.section(b.TYPE, b.func_type([b.I32, b.I64, b.F32, b.F64], [b.I32])),
            b.section(b.IMPORT, b"\0\0\0\0", b"\0\0\x01\x70\0\0", b"\0\0\x03\x7f\0"),
            b.section(b.MEMORY, b"\x01\0\x01"),
            b.section(b.ELEM, b"\0\x41\0\x0b\x01\0"),
            b.section(b.DATA, b"\0\x41\0\x0b\x01!"),
        ),
        frozenset(),
    )


def test_sizes_had_32_bits_before_64_bit_memories():
    data = b.module(b.section(b.MEMORY, b"\0" + b.u(1 << 32)))
    assert decode_module(data, ALL).memories[0].limits == Limits(1 << 32)
    with pytest.raises(MalformedError, match="integer too large"):
        decode_module(data, ALL - {Feature.MEMORY64})


def test_every_prefix_of_a_module_is_refused_or_decoded():
    data = b.function(b"\x41\0\x1a", [b.I32], before=b.section(b.EXPORT, b.name("f") + b"\0\0"))
    decoded = []
    for size in range(len(data) + 1):
        with contextlib.suppress(MalformedError):
            decode_module(data[:size], ALL)
            decoded.append(size)
    # The preamble alone, with the types, and all of it.
    assert decoded == [8, 15, len(data)]
