"""Tokens, comments, identifiers, strings and positions."""

from __future__ import annotations

import pytest

from asyncwasm.core.text.lexer import Source, string_bytes
from asyncwasm.errors import MalformedError


def tokens(text: str | bytes) -> list[str]:
    source = Source(text)
    source.check()
    assert source.tokens[-1] == ""
    return source.tokens[:-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t\r\n", []),
        ("(func(nop))", ["(", "func", "(", "nop", ")", ")"]),
        ("br 0(nop)", ["br", "0", "(", "nop", ")"]),
        ("a;;b\nc", ["a", "c"]),
        ("a;;b\rc", ["a", "c"]),
        ("a ;; b", ["a"]),
        ("a(;b;)c", ["a", "c"]),
        ("(;;)(;(;x;);)a", ["a"]),
        ("(; ;; ;)a", ["a"]),
        ('(; " ;) a', ["a"]),
        (';; "(;\na "(;" (;(; \n;);) b', ["a", '"(;"', "b"]),
        ("$x $x.y!", ["$x", "$x.y!"]),
        ("-0x1.8p+3 +inf nan:0x7_f 1_000", ["-0x1.8p+3", "+inf", "nan:0x7_f", "1_000"]),
        ("offset=1 align=0x2", ["offset=1", "align=0x2"]),
    ],
)
def test_tokens(text: str, expected: list[str]):
    """White space, comments and parentheses separate tokens."""
    assert tokens(text) == expected


@pytest.mark.parametrize(
    ("text", "message", "line", "column"),
    [
        ("func\n 0$x", "unknown operator `0$x`", 2, 2),
        ('(data"a")', 'unknown operator `data"a"`', 1, 2),
        ('"a""b"', "unknown operator", 1, 1),
        ("1__0", "unknown operator", 1, 1),
        ("0x", "unknown operator", 1, 1),
        ("1.e", "unknown operator", 1, 1),
        ("Func", "unknown operator", 1, 1),
        ("a , b", "unknown operator `,`", 1, 3),
        ("( @a)", "unknown operator `@a`", 1, 3),
        ("$", "empty identifier", 1, 1),
        ('$""', "empty identifier", 1, 1),
        ('$"\\ef"', "malformed UTF-8 encoding", 1, 1),
        ("a\r\nb\rc é", "illegal character `é`", 3, 3),
        ("a \x00", r"illegal character '\x00'", 1, 3),
        ("a \x7f", "illegal character", 1, 3),
        ('"abc', "unclosed string", 1, 1),
        ('"a\nb"', "unclosed string", 1, 1),
        ('"\\z"', "illegal escape", 1, 1),
        ('"\\u{110000}"', "malformed code point", 1, 1),
        ('"\\u{d800}"', "malformed code point", 1, 1),
        ("a (; (; ;)", "unclosed comment", 1, 3),
        ("(@)", "empty annotation id", 1, 1),
        ('(@"")', "empty annotation id", 1, 1),
        ("x (@a (b)", "unclosed annotation", 1, 3),
        ("(@a é)", "illegal character", 1, 5),
        ('(@a) (@b) $ "', "empty identifier", 1, 11),
    ],
)
def test_lexical_errors(text: str, message: str, line: int, column: int):
    """What is no token is refused where it stands, and the first such thing is reported."""
    with pytest.raises(MalformedError) as caught:
        tokens(text)
    assert caught.value.reason.startswith(message)
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize(
    ("text", "line", "column"), [(b"ab\nc\xffd", 2, 2), ("x\ny\udc80", 2, 2), (b"\xe2\x82", 1, 1)]
)
def test_texts_that_are_not_utf8(text: str | bytes, line: int, column: int):
    """Bytes must be UTF-8, and strings must be able to become it."""
    with pytest.raises(MalformedError, match="malformed UTF-8 encoding") as caught:
        Source(text)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_quoted_identifiers_are_the_same_as_plain_ones():
    assert tokens('$"a" $"\\61" $"\\u{61}"') == ["$a"] * 3
    assert tokens('$" b"') == ["$ b"]


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ('"a\\00\\ff"', b"a\0\xff"),
        ('"\\t\\n\\r\\"\\\'\\\\"', b"\t\n\r\"'\\"),
        ('"\\u{1F600}x\\u{0_41}"', "\U0001f600xA".encode()),
        ('"é"', "é".encode()),
        ('"\\5c\\\\n"', b"\\\\n"),
    ],
)
def test_string_escapes(token: str, expected: bytes):
    assert tokens(token) == [token]
    assert string_bytes(token) == expected


def test_annotations_are_taken_out():
    """Unknown annotations are comments; known ones are kept beside the token they precede."""
    source = Source('((@x (y) "z") func (@name "a") (@0 @ , [}) b (@"name" "c"))')
    source.check()
    assert source.tokens == ["(", "func", "b", ")", ""]
    assert {at: [(a.name, a.items) for a in found] for at, found in source.annotations.items()} == {
        2: [("name", ['"a"'])],
        3: [("name", ['"c"'])],
    }
    assert source.place(2) == (1, 44)


def test_lines_of_many_tokens():
    source = Source("a\nb (; \n ;) c\r\nd\re")
    line = source.lines()
    assert [line(i) for i in range(5)] == [1, 2, 3, 4, 5]
