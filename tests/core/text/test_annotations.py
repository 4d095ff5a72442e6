"""Annotations that mean something, and the name section."""

from __future__ import annotations

import pytest

from asyncwasm.core.text import assemble
from asyncwasm.errors import ValidationError
from tests.core.text.check import reject, section_list, sections


def customs(text: str) -> list[tuple[int, bytes]]:
    """Custom sections, with the number of the section before each."""
    found = []
    before = 0
    for number, content in section_list(assemble(text)):
        if number:
            before = number
        else:
            found.append((before, content))
    return found


def test_custom_sections_go_where_they_are_told():
    text = """
        (@custom "a" "1" "2") (func) (@custom "b" (before first))
        (@custom "c" (after func) "x") (global i32) (@custom "d" (before global))
        (@custom "e" (after type)) (@custom "f" (before elem)) (@custom "g" (after last))
    """
    found = [(before, content[1:]) for before, content in customs(text)]
    expected = [(0, b"b"), (1, b"e"), (3, b"cx"), (3, b"d"), (6, b"f"), (10, b"a12"), (10, b"g")]
    assert found == expected


def names(text: str) -> bytes:
    (section,) = (content for _, content in customs(text) if content.startswith(b"\4name"))
    return section[5:]


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("(module $m)", "00 02 01 6d"),
        ('(module (@name "m"))', "00 02 01 6d"),
        ('(module $x (@name "m"))', "00 02 01 6d"),
        ('(func) (func (@name "g")) (func $h)', "01 07 02 01 01 67 02 01 68"),
        ("(func (param i32) (param $p i32) (local i32 i32) (local $l i32))",
         "02 09 01 00 02 01 01 70 04 01 6c"),
        ('(func (local (@name "l") i32))', "02 06 01 00 01 00 01 6c"),
        ("(func block $a (loop) (if $b (block $c) (then)) end)",
         "03 0c 01 00 03 00 01 61 02 01 63 03 01 62"),
        ("(type (func)) (rec (type $t (func)))", "04 04 01 01 01 74"),
        ("(table $t 0 funcref)", "05 04 01 00 01 74"),
        ("(memory $m 0)", "06 04 01 00 01 6d"),
        ("(global $g i32)", "07 04 01 00 01 67"),
        ("(table funcref (elem)) (elem $e func)", "08 04 01 01 01 65"),
        ('(memory (data)) (data $d "")', "09 04 01 01 01 64"),
        ("(type (struct (field i32 i32) (field $f i32)))", "0a 06 01 00 01 02 01 66"),
        ('(import "" "" (tag $e))', "0b 04 01 00 01 65"),
        ('(func $"\\c3\\a9 ")', "01 06 01 00 03 c3 a9 20"),
    ],
)  # fmt: skip
def test_names(text: str, content: str):
    assert names(text) == bytes.fromhex(content)


def test_no_names_no_section():
    assert customs('(func (export "f") (param i32))') == []


def test_branch_hints():
    """Hints are given by offset in the body, before the code section."""
    text = """
        (import "" "" (func))
        (func (param i32) (local i64)
          local.get 0 (@metadata.code.branch_hint "\\00") if end
          (@metadata.code.branch_hint "\\01") (if (local.get 0) (then))
          block local.get 0 (@metadata.code.branch_hint "\\01") br_if 0 end
          (@metadata.code.branch_hint "\\00") (br_if 0 (local.get 0)))
        (func)
    """
    ((before, content),) = customs(text)
    assert before == 3
    name = b"metadata.code.branch_hint"
    assert content == bytes((len(name),)) + name + bytes.fromhex(
        "01 01 04 05 01 00 0a 01 01 11 01 01 16 01 00"
    )
    code = sections(assemble(text))[10]
    body = code[2:]
    assert [body[at] for at in (5, 10, 17, 22)] == [0x04, 0x04, 0x0D, 0x0D]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(@custom)", "@custom annotation: missing section name"),
        ("(@custom x)", "@custom annotation: missing section name"),
        ('(@custom "\\ff")', "@custom annotation: malformed UTF-8 encoding"),
        ('(@custom "a" x)', "@custom annotation: unexpected token"),
        ('(@custom "a" "b" (before func))', "@custom annotation: unexpected token"),
        ('(@custom "a" (at func))', "@custom annotation: malformed placement"),
        ('(@custom "a" ())', "@custom annotation: malformed placement"),
        ('(@custom "a" (before))', "@custom annotation: malformed section kind"),
        ('(@custom "a" (before x))', "@custom annotation: malformed section kind"),
        ('(@custom "a" (before func x))', "@custom annotation: unexpected token"),
        ('(func (@custom "a"))', "misplaced @custom annotation"),
        ('(type (@custom "a") (func))', "misplaced @custom annotation"),
        ('(module (@name "a") (@name "b"))', "@name annotation: multiple module names"),
        ('(func $f (@name "a") (@name "b"))', "@name annotation: multiple func names"),
        ("(func (@name))", "@name annotation: string expected"),
        ('(func (@name "a" "b"))', "@name annotation: string expected"),
        ('(func (@name "\\ff"))', "@name annotation: malformed UTF-8 encoding"),
        ('(module (func) (@name "a"))', "misplaced @name annotation"),
        ('(start 0 (@name "a"))', "misplaced @name annotation"),
        ('(func nop (@name "a"))', "misplaced @name annotation"),
        (
            '(@metadata.code.branch_hint "\\00") (func)',
            "@metadata.code.branch_hint annotation: not in a function",
        ),
        (
            '(func (@metadata.code.branch_hint "\\00" "\\00") if end)',
            "@metadata.code.branch_hint annotation: invalid hint value",
        ),
        (
            "(func (@metadata.code.branch_hint 0) if end)",
            "@metadata.code.branch_hint annotation: unexpected token",
        ),
        (
            "(func" + '(@metadata.code.branch_hint "\\00")' * 2 + "if end)",
            "@metadata.code.branch_hint annotation: duplicate annotation",
        ),
    ],
)
def test_errors(text: str, message: str):
    reject(text, message)


@pytest.mark.parametrize("target", ["nop", "(nop)", "block end", ""])
def test_branch_hints_for_other_instructions_are_invalid(target: str):
    with pytest.raises(ValidationError, match="invalid target"):
        assemble(f'(func (@metadata.code.branch_hint "\\00") {target})')


def test_annotations_of_one_module_do_not_concern_another():
    """Annotations outside of a module are comments, and assembling again finds them again."""
    text = '(@name "x") (module (@name "m")) (@custom "y")'
    assert assemble(text) == assemble(text) == assemble("(module $m)")
