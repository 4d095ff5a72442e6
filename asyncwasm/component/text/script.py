"""Scripts (`.wast`) with components: what the script language has for them besides modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asyncwasm.core.text.cursor import Cursor
from asyncwasm.core.text.lexer import Source
from asyncwasm.core.text.script import (
    Definable,
    InstanceOf,
    ScriptReader,
)

from .assembler import assemble_at, assemble_definitions
from .script_values import read_any_value


@dataclass(frozen=True, slots=True)
class ScriptComponent:
    """A component: text at token `at` of `source`, or `quoted` text, or bytes (`data`)."""

    name: str | None
    source: Source | None = None
    at: int = 0
    quoted: bytes | None = None
    data: bytes | None = None

    def to_binary(self) -> bytes:
        """Assemble it; raises `MalformedError`."""
        if self.data is not None:
            return self.data
        if self.quoted is not None:
            return assemble_definitions(self.quoted)
        assert self.source is not None
        return assemble_at(Cursor(self.source, self.at))


@dataclass(frozen=True, slots=True)
class ComponentOf(InstanceOf):
    """An instance of a component defined before; `module` is its name, None the last one."""


@dataclass(frozen=True, slots=True)
class DefineComponent:
    """Define a component without making an instance (`component definition`)."""

    line: int
    component: ScriptComponent


@dataclass(frozen=True, slots=True)
class InstantiateComponent:
    """Define a component and make an instance; both get its name, if it has one."""

    line: int
    component: ScriptComponent


@dataclass(frozen=True, slots=True)
class InstantiateDefinedComponent:
    """Make an instance, called `name`, of a component defined before (`component instance`)."""

    line: int
    name: str | None
    component: ComponentOf


class ComponentScriptReader(ScriptReader):
    """Reads the commands of scripts that have components, modules or both."""

    def __init__(self, text: str | bytes) -> None:
        super().__init__(text)
        self.parsers["component"] = self._component

    def _component(
        self, line: int
    ) -> DefineComponent | InstantiateComponent | InstantiateDefinedComponent:
        cursor = self.cursor
        following = cursor.tokens[cursor.pos + 1]
        if following == "instance":
            cursor.pos += 1
            name, instance = self._instance_of()
            return InstantiateDefinedComponent(line, name, ComponentOf(instance.module))
        found = self._component_body()
        return (DefineComponent if following == "definition" else InstantiateComponent)(line, found)

    def _component_body(self) -> ScriptComponent:
        """From the keyword to before the closing parenthesis."""
        cursor = self.cursor
        at = cursor.pos - 1
        cursor.pos += 1
        cursor.take("definition")
        name = cursor.identifier()
        if cursor.take("binary"):
            return ScriptComponent(name, data=cursor.strings())
        if cursor.take("quote"):
            return ScriptComponent(name, quoted=cursor.strings())
        cursor.pos = at
        cursor.skip_group()
        cursor.pos -= 1
        return ScriptComponent(name, self.source, at)

    def _script_module(self) -> Definable:
        cursor = self.cursor
        if not cursor.at("component"):
            return super()._script_module()
        if cursor.tokens[cursor.pos + 2] in ("definition", "instance"):
            raise cursor.unexpected(cursor.pos + 2)
        cursor.pos += 1
        found = self._component_body()
        cursor.close()
        return found

    def _module_or_instance(self) -> Definable | InstanceOf:
        cursor = self.cursor
        if cursor.at("component") and cursor.tokens[cursor.pos + 2] == "instance":
            cursor.pos += 2
            _, found = self._instance_of()
            cursor.close()
            return ComponentOf(found.module)
        return super()._module_or_instance()

    def _value(self) -> Any:
        return read_any_value(self.cursor)

    def _result(self) -> Any:
        return read_any_value(self.cursor)
