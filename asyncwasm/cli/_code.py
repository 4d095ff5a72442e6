"""Modules and components as files have them: binary or text."""

from __future__ import annotations

from asyncwasm import Engine, Module
from asyncwasm.component import Component
from asyncwasm.component.binary import is_component
from asyncwasm.component.text import assemble_component
from asyncwasm.component.text.assembler import is_component_text
from asyncwasm.core.text import assemble


def to_binary(data: bytes) -> tuple[bytes, bool]:
    """The binary format of what a file has, and whether it is a component.

    Raises `MalformedError` for a text that is neither module nor component.
    """
    if data[:1] == b"\0" or not data:
        return data, is_component(data)
    return assemble_text(data)


def assemble_text(text: bytes) -> tuple[bytes, bool]:
    """What a text stands for, and whether it is a component; raises `MalformedError`."""
    component = is_component_text(text)
    return (assemble_component if component else assemble)(text), component


def compile_code(engine: Engine, data: bytes) -> Module | Component:
    """Compile what a file has; raises what is wrong with it."""
    binary, component = to_binary(data)
    return (Component if component else Module).from_binary(engine, binary)


def validate_code(engine: Engine, data: bytes) -> None:
    """Validate what a file has, all of it; raises what is wrong with it."""
    binary, component = to_binary(data)
    (Component if component else Module).validate(engine, binary)
