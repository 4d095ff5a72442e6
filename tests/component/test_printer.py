"""The component printer: what it prints, assembled again, is what it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncwasm.component.text import assemble_component, print_component
from asyncwasm.component.text.script import ComponentScriptReader, ScriptComponent
from asyncwasm.core.text.script import AssertInvalid, AssertMalformed
from asyncwasm.errors import MalformedError, ValidationError
from tests.spec.suite import ABSENT, ROOT

SCRIPTS = sorted((ROOT / "component").rglob("*.wast"))
# Options that come twice, with different operands: components that are invalid for it.
_TWICE = ("validation/abi.wast", (154, 164, 179))


def components(script: Path) -> Iterator[tuple[int, ScriptComponent, bool]]:
    """Components that can be decoded: line, component, whether it is invalid."""
    for command in ComponentScriptReader(script.read_bytes()).commands():
        found = [
            getattr(command, field)
            for field in ("component", "module", "action")
            if isinstance(getattr(command, field, None), ScriptComponent)
        ]
        if found and not isinstance(command, AssertMalformed):
            yield command.line, found[0], isinstance(command, AssertInvalid)


@pytest.mark.skipif(not SCRIPTS, reason=ABSENT)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_suite_comes_back(script: Path) -> None:
    skipped = _TWICE[1] if script.match(_TWICE[0]) else ()
    for line, component, is_invalid in components(script):
        data = component.to_binary()
        try:
            text = print_component(data)
        except (MalformedError, ValidationError):
            assert is_invalid, line
            continue
        again = assemble_component(text)
        if component.data is None and line not in skipped:
            assert again == data, line
            assert assemble_component(print_component(data, names=False)) == data, line
        # Where the bytes are not as short as they might be, the text still says the same.
        assert print_component(again) == text, line


def test_what_it_looks_like() -> None:
    text = """\
(component $c
  (core module $m (;0;)
    (type (;0;) (func (result i32)))
    (export "f" (func 0))
    (func (;0;) (type 0) (result i32)
      i32.const 1
    )
  )
  (core instance $i (;0;) (instantiate $m))
  (type (;0;) (func (result u32)))
  (alias core export $i "f" (core func (;0;)))
  (canon lift (core func 0) (func $g (;0;) (type 0)))
  (type (;1;) (instance
    (export "t" (type (;0;) (sub resource)))
    (type (;1;) (own 0))
    (type (;2;) (func (param "a" 1)))
    (export "f" (func (;0;) (type 2)))
  ))
  (import "x" (external-id "y") (instance (;0;) (type 1)))
  (instance $j (;1;) (export "g" (func $g)))
  (export (;1;) "g" (func $g))
)
"""
    assert print_component(assemble_component(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "(component)",
        '(component (@custom "a" "b") (type u8) (@custom "c" "") (type u8) (@custom "d" "e"))',
        # Names that are not as the text has them: twice the same, and not of what they name.
        '(component (type $t u8) (type (@name "t") u8) (type (@name "") u8) (type $u (list $t)))',
        '(component (@custom "component-name" "\\00\\02\\01a") (core module $b) (type u8))',
        '(component (core module $a) (@custom "component-name" "\\00"))',
        '(component (core module $m binary "\\00asm\\01\\00\\00\\00"))',
        '(component (core module binary "what"))',
        '(component (import "a" (value $v u8)) (start 0 (value $v) (result (value $w))))',
        '(component (value $v u8 (binary "\\07")))',
        "(component (core rec (type $a (func)) (type (struct (field (ref $a))))))",
        "(component (core type $a (sub (func))) (core type (sub $a (func))))",
        "(component (canon thread.spawn-indirect shared 0 1 (core func)))",
        "(component (canon thread.spawn-ref 0 (core func)))",
        "(component (canon error-context.new string-encoding=utf16 (memory 0) (core func)))",
        "(component (canon subtask.cancel async (core func)))",
        '(component (import "a" (versionsuffix "1") (implements "a:b/c") (instance)))',
        '(component (export "a" (func 0) (func (type 0))) (export "b" (type 1) (type (eq 0))))',
        '(component (import "a" (component (import "b" (value (eq 0))))))',
    ],
)
def test_it_comes_back(text: str) -> None:
    data = assemble_component(text)
    printed = print_component(data)
    assert assemble_component(printed) == data
    assert print_component(assemble_component(print_component(data, names=False))) == printed


def test_names_of_a_nested_module_of_its_own() -> None:
    """A module that has another name than the component calls it keeps both."""
    text = """(component
        (core module $m (@custom "name" "\\00\\02\\01x"))
        (core instance $i (instantiate $m))
    )"""
    data = assemble_component(text)
    printed = print_component(data)
    assert "(core module $x" in printed
    assert "(core instance $i (;0;) (instantiate $x))" in printed
    assert assemble_component(printed) == data


def test_malformed() -> None:
    with pytest.raises(MalformedError):
        print_component(b"\0asm\1\0\0\0")
