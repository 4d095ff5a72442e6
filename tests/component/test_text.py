"""The component assembler, against the encodings it should give and against Wasmtime's."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncwasm.component.text import assemble_component
from asyncwasm.component.text.assembler import assemble_at
from asyncwasm.core.text.cursor import Cursor
from asyncwasm.core.text.lexer import Source
from asyncwasm.errors import MalformedError
from tests.spec.suite import ABSENT, ROOT

PREAMBLE = b"\0asm\x0d\0\1\0"


def component_texts(text: str) -> Iterator[tuple[int, str, Source, int]]:
    """The components of a script: the line, the command's keyword, and where the text is."""
    source = Source(text)
    cursor = Cursor(source)
    while source.tokens[cursor.pos]:
        start = cursor.pos
        cursor.skip_group()
        keyword = source.tokens[start + 1]
        at = start + 2 if keyword.startswith("assert_") else start
        head = source.tokens[at : at + 3]
        if head[:2] == ["(", "component"] and head[2] != "instance":
            yield source.place(start)[0], keyword, source, at


SCRIPTS = sorted((ROOT / "component").rglob("*.wast"))


@pytest.mark.skipif(not SCRIPTS, reason=ABSENT)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_suite_assembles(script: Path) -> None:
    for line, keyword, source, at in component_texts(script.read_text()):
        if keyword == "assert_malformed" and source.tokens[at + 2] == "quote":
            with pytest.raises(MalformedError):
                assemble_at(Cursor(source, at))
        else:
            assert assemble_at(Cursor(source, at)) is not None, line


def sections(data: bytes) -> Iterator[tuple[int, bytes]]:
    pos = 8
    while pos < len(data):
        number = data[pos]
        size, pos = _unsigned(data, pos + 1)
        yield number, data[pos : pos + size]
        pos += size


def _unsigned(data: bytes, pos: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, pos


# Texts for which Wasmtime's assembler gives other bytes: it does not share what we share (inline
# function types in a module type, outer aliases in a type) and defines types before aliases.
OTHERWISE = 15


def test_the_suite_assembles_to_what_wasmtime_makes_of_it() -> None:
    wasmtime = pytest.importorskip("wasmtime")
    if not SCRIPTS:
        pytest.skip(ABSENT)
    same = other = 0
    for script in SCRIPTS:
        for _, keyword, source, at in component_texts(script.read_text()):
            if source.tokens[at + 2] in ("binary", "quote") or keyword == "assert_malformed":
                continue
            cursor = Cursor(source, at)
            cursor.skip_group()
            text = re.sub(r"^\(component\s+definition", "(component", _text(source, at, cursor.pos))
            try:
                expected = bytes(wasmtime.wat2wasm(text))
            except wasmtime.WasmtimeError:
                continue
            if assemble_at(Cursor(source, at)) == expected:
                same += 1
            else:
                other += 1
    assert other <= OTHERWISE
    assert same > 500


def _text(source: Source, start: int, end: int) -> str:
    lines = source.text.splitlines(keepends=True)

    def offset(index: int) -> int:
        line, column = source.place(index)
        return sum(map(len, lines[: line - 1])) + column - 1

    return source.text[offset(start) : offset(end)]


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("(component)", b""),
        ("", b""),
        ("(type u8) (type string)", b"\7\3\2\x7d\x73"),
        # An inline type is defined first; equal neighbours share a section.
        ("(type (list (option u8)))", b"\7\5\2\x6b\x7d\x70\0"),
        ('(import "a" (func))', b"\7\5\1\x40\0\1\0" + b"\x0a\6\1\0\1a\1\0"),
        (
            '(import "a" (implements "b:c/d") (external-id "x") (instance))',
            b"\7\3\1\x42\0" + b"\x0a\x11\1\2\1a\2\0\5b:c/d\2\1x\5\0",
        ),
        ("(core type (sub (func)))", b"\3\7\1\0\x50\0\x60\0\0"),
        ("(core rec (type (func)) (type (struct)))", b"\3\x08\1\x4e\2\x60\0\0\x5f\0"),
        ("(canon context.get 3 (core func))", b"\x08\4\1\x0a\x7f\3"),
        ("(core func (canon thread.yield cancellable))", b"\x08\3\1\x0c\1"),
        ('(component (@custom "x" "\\01\\02") (component))', b"\0\4\1x\1\2" + b"\4\x08" + PREAMBLE),
        ('(value u8 (binary "\\07"))', b"\x0c\4\1\x7d\1\7"),
    ],
)
def test_encodings(text: str, content: bytes) -> None:
    assert assemble_component(text) == PREAMBLE + content


def test_names() -> None:
    data = assemble_component('(component $c (type $t u8) (component (@name "a b")))')
    names = b"\x0ecomponent-name" + b"\0\2\1c" + b"\1\5\3\1\0\1t" + b"\1\7\4\1\0\3a b"
    assert list(sections(data))[-1] == (0, names)


def test_an_inline_alias_is_the_same_as_one_before() -> None:
    inline = """
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func (canon lift (core func $i "f")))
    """
    apart = """
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (type (func))
        (core func (alias core export $i "f"))
        (canon lift (core func 0) (func (type 0)))
    """
    assert assemble_component(inline) == assemble_component(apart)


def test_an_inline_alias_goes_through_instances() -> None:
    start = '(import "i" (instance $i (export "j" (instance (export "f" (func))))))'
    chained = assemble_component(start + '(export "g" (func $i "j" "f"))')
    steps = """
        (alias export $i "j" (instance $j))
        (func $f (alias export $j "f"))
        (export "g" (func $f))
    """
    assert list(sections(chained))[2:4] == list(sections(assemble_component(start + steps)))[2:4]


def test_an_outer_name_is_aliased_once() -> None:
    text = """
        (type $t (record (field "x" u8)))
        (component
            (import "f" (func (param "a" $t)))
            (import "g" (func (param "a" $t)))
        )
    """
    explicit = """
        (type $t (record (field "x" u8)))
        (component
            (alias outer 1 0 (type))
            (import "f" (func (param "a" 0)))
            (import "g" (func (param "a" 0)))
        )
    """
    assert assemble_component(text) == assemble_component(explicit)


def test_a_name_means_what_was_bound_above() -> None:
    """Not what is bound below, nor what is just being defined."""
    text = """
        (type $t u8)
        (type (instance (type $t (list $t)) (export "l" (type (eq $t)))))
    """
    explicit = """
        (type $t u8)
        (type (instance (alias outer 1 0 (type)) (type (list 0)) (export "l" (type (eq 1)))))
    """
    assert assemble_component(text) == assemble_component(explicit)
    with pytest.raises(MalformedError, match="unknown type"):
        assemble_component("(type (list $t)) (type $t u8)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(component", "unexpected end of text"),
        ("(component) (component)", "unexpected token"),
        ("(component (quux))", "unexpected token `quux`"),
        ("(type $t u8) (type $t u8)", "duplicate type"),
        ('(import "x" (func $x)) (component (export "x" (func $x)))', "outer item `x`"),
        ('(import "a" (external-id "x") (external-id "y") (func))', "unexpected token"),
        ("(alias outer $nowhere 0 (type))", "unknown outer component or type"),
        ('(alias core export 0 "f" (func))', "unexpected token"),
        ('(core instance (instantiate 0 (with "a" (func 0))))', "unexpected token `func`"),
        ('(type (instance (import "a" (func))))', "unexpected token `import`"),
        ("(canon future.tell (core func))", "unexpected token `future.tell`"),
        ("(component " * 2000 + ")" * 2000, "nesting too deep"),
        ("(type " + "(list " * 2000 + "u8" + ")" * 2001, "nesting too deep"),
        ("(core module (func $f) (func $f))", "duplicate func"),
        ('(core type (module (export "f" (func (type $t)))))', "unknown core type"),
    ],
)
def test_malformed(text: str, message: str) -> None:
    with pytest.raises(MalformedError, match=re.escape(message)):
        assemble_component(text)


def test_an_error_says_where() -> None:
    with pytest.raises(MalformedError) as caught:
        assemble_component("(component\n  (type $t nothing))")
    assert (caught.value.line, caught.value.column) == (2, 12)


@pytest.mark.parametrize(
    "text",
    [
        """(component $c (import "a" (implements "a:b/c") (instance $i (export "f" (func))))
          (core module $m (func (export "f"))) (core instance $n (instantiate $m
          (with "a" (instance (export "f" (func $i "f"))))))
          (type $t (record (field "a" (list $u 3)))) (alias outer 1 $t (type $v))
          (func $g (export "g") async (param "a" $t) (canon lift (core func $n "f")
          (memory 0) (realloc (core func $n "f")) async)) (start $g (value 0) (result (value $x))))
        """,
        """(component (core type (module (import "a" "b" (func (param i32))) (alias outer $c 0
          (type)) (export "c" (memory 1)))) (type (component (import "a" (type (sub resource)))))
          (canon waitable-set.wait cancellable (memory 0) (core func)) (instance (instantiate $c
          (with "a" (component $d)))) (component (alias outer $a $b)) (value u8 (binary "a")))
        """,
    ],
)
def test_text_that_ends_anywhere_is_malformed(text: str) -> None:
    """And whatever else it is, it is nothing worse than that."""
    tokens = Source(text).tokens
    for end in range(1, len(tokens) - 2):
        with pytest.raises(MalformedError):
            assemble_component(" ".join(tokens[:end]))
        for last in (")", '"a"', "$a", "("):
            with contextlib.suppress(MalformedError):
                assemble_component(" ".join([*tokens[:end], last]))


VALUES = [
    ("bool", "true", b"\1"),
    ("u8", "255", b"\xff"),
    ("s8", "-1", b"\xff"),
    ("u16", "300", b"\xac\2"),
    ("s16", "-2", b"\x7e"),
    ("u64", "0x80", b"\x80\1"),
    ("f32", "1", b"\0\0\x80\x3f"),
    ("f64", "nan", b"\0\0\0\0\0\0\xf8\x7f"),
    ("char", '"\\u{e9}"', b"\xc3\xa9"),
    ("string", '"hi"', b"\2hi"),
    ('(record (field "a" bool) (field "b" u8))', "(record true 1)", b"\1\1"),
    ('(variant (case "a" bool) (case "b" u8) (case "c"))', '(variant "b" 1)', b"\1\1"),
    ('(variant (case "a" bool) (case "b" u8) (case "c"))', '(variant "c")', b"\2"),
    (
        "(list (result (option u8)))",
        "(list error (ok (some 1)) (ok none))",
        b"\3" + b"\1" + b"\0\1\1" + b"\0\0",
    ),
    ("(list u8 2)", "(list 1 2)", b"\1\2"),
    ("(result (error string))", '(error "x")', b"\1\1x"),
    ("(result (error string))", "ok", b"\0"),
    ("(tuple u8 u16 u32)", "(tuple 1 2 3)", b"\1\2\3"),
    ('(flags "a" "b" "c")', '(flags "a" "c")', b"\5"),
    ('(enum "a" "b" "c")', '(enum "b")', b"\1"),
    ("bool", '(binary "\\00")', b"\0"),
]


@pytest.mark.parametrize(("ty", "literal", "content"), VALUES)
def test_values(ty: str, literal: str, content: bytes) -> None:
    section = list(sections(assemble_component(f"(value {ty} {literal})")))[-1]
    assert section[0] == 12
    assert section[1].endswith(bytes((len(content),)) + content)
    # The type may have a name, and come from outside.
    named = f'(type $t {ty}) (export $u "u" (type $t)) (component $c (value $v $u {literal}))'
    inner = next(content for number, content in sections(assemble_component(named)) if number == 4)
    values = next(content for number, content in sections(inner) if number == 12)
    assert values.endswith(bytes((len(content),)) + content)


@pytest.mark.parametrize(
    ("ty", "literal"),
    [
        ("u8", "256"),
        ("u8", "-1"),
        ("s8", "128"),
        ("s8", "0xff"),
        ("bool", "1"),
        ("char", '"ab"'),
        ("f32", "nan:0x1"),
        ("(tuple u8)", "(tuple)"),
        ("(tuple u8)", "(tuple 1 2)"),
        ('(enum "a")', '(enum "b")'),
        ("(option u8)", "1"),
        ("(result)", "(ok 1)"),
        ("(stream u8)", "1"),
        ("error-context", "1"),
        ("9", "1"),
    ],
)
def test_values_that_are_none(ty: str, literal: str) -> None:
    with pytest.raises(MalformedError):
        assemble_component(f"(value {ty} {literal})")
