"""Scripts (`.wast`): the language that the official test suite is written in.

`read_script` gives the commands one by one; a script that is malformed somewhere fails when
its reader gets there.  Modules are assembled only when somebody asks for their bytes, so that
one that is meant to be malformed does no harm.  Identifiers keep their `$`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Union

from asyncwasm.errors import MalformedError

from .assembler import assemble, assemble_fields, assemble_module
from .cursor import Cursor
from .fields import FIELD_KEYWORDS
from .lexer import Source
from .script_values import Result, Value, read_result, read_value


@dataclass(frozen=True, slots=True)
class TextModule:
    """A module as text: `(module …)` at token `at` of `source`, or bare fields to its end."""

    name: str | None
    source: Source
    at: int

    def to_binary(self) -> bytes:
        """Assemble it; raises `MalformedError`."""
        cursor = Cursor(self.source, self.at)
        if cursor.at("module"):
            return assemble_module(cursor)
        code = assemble_fields(cursor, self.at)
        if self.source.tokens[cursor.pos]:
            raise cursor.unexpected()
        return code


@dataclass(frozen=True, slots=True)
class QuotedModule:
    """A module as text in strings, which need not even be tokens."""

    name: str | None
    text: bytes

    def to_binary(self) -> bytes:
        """Assemble it; raises `MalformedError`."""
        return assemble(self.text)


@dataclass(frozen=True, slots=True)
class BinaryModule:
    """A module as bytes."""

    name: str | None
    data: bytes

    def to_binary(self) -> bytes:
        """The bytes as they are."""
        return self.data


ScriptModule = Union[TextModule, QuotedModule, BinaryModule]


class Definable(Protocol):
    """What a script can define: here modules, and what extensions of the language have."""

    @property
    def name(self) -> str | None: ...

    def to_binary(self) -> bytes:
        """Assemble it; raises `MalformedError`."""


@dataclass(frozen=True, slots=True)
class InstanceOf:
    """An instance of a module defined before; None is the last one."""

    module: str | None


@dataclass(frozen=True, slots=True)
class Invoke:
    """Call an exported function; `instance` None is the last one."""

    instance: str | None
    export: str
    arguments: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Get:
    """Read an exported global; `instance` None is the last one."""

    instance: str | None
    export: str


Action = Union[Invoke, Get]


@dataclass(frozen=True, slots=True)
class DefineModule:
    """Define a module without making an instance (`module definition`)."""

    line: int
    module: ScriptModule


@dataclass(frozen=True, slots=True)
class InstantiateModule:
    """Define a module and make an instance; both get its name, if it has one."""

    line: int
    module: ScriptModule


@dataclass(frozen=True, slots=True)
class InstantiateDefined:
    """Make an instance, called `name`, of a module defined before (`module instance`)."""

    line: int
    name: str | None
    module: InstanceOf


@dataclass(frozen=True, slots=True)
class Register:
    """Offer an instance's exports for import as module `module`; None is the last one."""

    line: int
    module: str
    instance: str | None


@dataclass(frozen=True, slots=True)
class Perform:
    """Do something and forget its result."""

    line: int
    action: Action


@dataclass(frozen=True, slots=True)
class AssertReturn:
    """The action must give these results."""

    line: int
    action: Action
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class AssertTrap:
    """The action, or instantiating the module, must trap."""

    line: int
    action: Action | Definable | InstanceOf
    message: str


@dataclass(frozen=True, slots=True)
class AssertExhaustion:
    """The action must exhaust the stack."""

    line: int
    action: Action
    message: str


@dataclass(frozen=True, slots=True)
class AssertException:
    """The action must throw an exception that nothing catches."""

    line: int
    action: Action


@dataclass(frozen=True, slots=True)
class AssertMalformed:
    """The module must be malformed; `custom` if only its annotations are."""

    line: int
    module: Definable
    message: str
    custom: bool = False


@dataclass(frozen=True, slots=True)
class AssertInvalid:
    """The module must be invalid; `custom` if only its annotations are."""

    line: int
    module: Definable
    message: str
    custom: bool = False


@dataclass(frozen=True, slots=True)
class AssertUnlinkable:
    """Linking the module must fail."""

    line: int
    module: Definable | InstanceOf
    message: str


@dataclass(frozen=True, slots=True)
class Thread:
    """Run commands in a thread of their own, which sees only the `shared` modules."""

    line: int
    name: str
    shared: tuple[str, ...]
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for the end of a thread."""

    line: int
    thread: str


Command = Union[
    DefineModule,
    InstantiateModule,
    InstantiateDefined,
    Register,
    Perform,
    AssertReturn,
    AssertTrap,
    AssertExhaustion,
    AssertException,
    AssertMalformed,
    AssertInvalid,
    AssertUnlinkable,
    Thread,
    Wait,
]


def read_script(text: str | bytes) -> Iterator[Command]:
    """The commands of a script, in order.

    Raises `MalformedError`, with line and column, when it gets to a place that is no command.
    """
    return ScriptReader(text).commands()


class ScriptReader:
    """Reads commands; `parsers` maps their keywords to what reads the rest of them.

    An extension of the language overrides what reads definitions and values.
    """

    def __init__(self, text: str | bytes) -> None:
        self.source = Source(text)
        self.cursor = Cursor(self.source)
        self._lines = self.source.lines()
        self.parsers: dict[str, Callable[[int], Any]] = {
            "module": self._module,
            "register": self._register,
            "invoke": self._perform,
            "get": self._perform,
            "assert_return": self._assert_return,
            "assert_trap": self._assert_trap,
            "assert_exhaustion": self._assert_exhaustion,
            "assert_exception": self._assert_exception,
            "assert_malformed": self._assert_malformed,
            "assert_invalid": self._assert_invalid,
            "assert_malformed_custom": self._assert_malformed,
            "assert_invalid_custom": self._assert_invalid,
            "assert_unlinkable": self._assert_unlinkable,
            "thread": self._thread,
            "wait": self._wait,
        }

    def commands(self) -> Iterator[Any]:
        """The commands, in order."""
        cursor, source = self.cursor, self.source
        if cursor.tokens[0] == "(" and cursor.tokens[1] in FIELD_KEYWORDS:
            source.check()
            yield InstantiateModule(source.place(0)[0], TextModule(None, source, 0))
            return
        while cursor.tokens[cursor.pos]:
            start = cursor.pos
            self._check_tokens()
            yield self._command(self._lines(start))
        source.check()

    def _check_tokens(self) -> None:
        """Raise the first lexical error if it is in the command that starts here."""
        cursor, fault = self.cursor, self.source.fault
        if fault is None:
            return
        start = cursor.pos
        try:
            cursor.skip_group()
        except MalformedError:
            self.source.check()
        if fault[0] < cursor.pos:
            self.source.check()
        cursor.pos = start

    def _command(self, line: int) -> Any:
        """A command; its parser finds the cursor at its keyword."""
        cursor = self.cursor
        cursor.expect("(")
        parse = self.parsers.get(cursor.tokens[cursor.pos])
        if parse is None:
            raise cursor.unexpected()
        command = parse(line)
        cursor.close()
        return command

    def _script_module(self) -> Definable:
        """`(module …)` without its closing parenthesis, and not an instance or definition."""
        cursor = self.cursor
        if not cursor.at("module") or cursor.tokens[cursor.pos + 2] in ("definition", "instance"):
            raise cursor.unexpected(cursor.pos + 2 if cursor.at("module") else cursor.pos)
        cursor.pos += 1
        found = self._module_body()
        cursor.close()
        return found

    def _module_body(self) -> ScriptModule:
        cursor = self.cursor
        at = cursor.pos - 1
        cursor.expect("module")
        cursor.take("definition")
        name = cursor.identifier()
        if cursor.take("binary"):
            return BinaryModule(name, cursor.strings())
        if cursor.take("quote"):
            return QuotedModule(name, cursor.strings())
        cursor.pos = at
        cursor.skip_group()
        cursor.pos -= 1
        return TextModule(name, self.source, at)

    def _instance_of(self) -> tuple[str | None, InstanceOf]:
        """`instance` and its names."""
        cursor = self.cursor
        cursor.expect("instance")
        first = cursor.identifier()
        second = cursor.identifier()
        return (None, InstanceOf(first)) if second is None else (first, InstanceOf(second))

    def _module_or_instance(self) -> Definable | InstanceOf:
        cursor = self.cursor
        if cursor.at("module") and cursor.tokens[cursor.pos + 2] == "instance":
            cursor.pos += 2
            _, found = self._instance_of()
            cursor.close()
            return found
        return self._script_module()

    def _module(self, line: int) -> DefineModule | InstantiateModule | InstantiateDefined:
        cursor = self.cursor
        following = cursor.tokens[cursor.pos + 1]
        if following == "instance":
            cursor.pos += 1
            return InstantiateDefined(line, *self._instance_of())
        found = self._module_body()
        return (DefineModule if following == "definition" else InstantiateModule)(line, found)

    def _register(self, line: int) -> Register:
        cursor = self.cursor
        cursor.pos += 1
        return Register(line, cursor.name(), cursor.identifier())

    def _at_action(self) -> bool:
        return self.cursor.at("invoke") or self.cursor.at("get")

    def _action(self) -> Action:
        """`(invoke …)` or `(get …)`."""
        if not self._at_action():
            raise self.cursor.unexpected()
        self.cursor.pos += 1
        found = self._action_body()
        self.cursor.close()
        return found

    def _action_body(self) -> Action:
        cursor = self.cursor
        is_get = cursor.take("get")
        if not is_get:
            cursor.expect("invoke")
        instance = cursor.identifier()
        export = cursor.name()
        if is_get:
            return Get(instance, export)
        arguments = []
        while cursor.tokens[cursor.pos] == "(":
            arguments.append(self._value())
        return Invoke(instance, export, tuple(arguments))

    def _value(self) -> Any:
        """An argument."""
        return read_value(self.cursor)

    def _result(self) -> Any:
        """An expected result."""
        return read_result(self.cursor)

    def _perform(self, line: int) -> Perform:
        return Perform(line, self._action_body())

    def _assert_return(self, line: int) -> AssertReturn:
        cursor = self.cursor
        cursor.pos += 1
        action = self._action()
        results = []
        while cursor.tokens[cursor.pos] == "(":
            results.append(self._result())
        return AssertReturn(line, action, tuple(results))

    def _assert_trap(self, line: int) -> AssertTrap:
        self.cursor.pos += 1
        subject: Action | Definable | InstanceOf
        subject = self._action() if self._at_action() else self._module_or_instance()
        return AssertTrap(line, subject, self.cursor.name())

    def _assert_exhaustion(self, line: int) -> AssertExhaustion:
        self.cursor.pos += 1
        return AssertExhaustion(line, self._action(), self.cursor.name())

    def _assert_exception(self, line: int) -> AssertException:
        self.cursor.pos += 1
        return AssertException(line, self._action())

    def _assert_malformed(self, line: int) -> AssertMalformed:
        custom = self.cursor.tokens[self.cursor.pos].endswith("_custom")
        self.cursor.pos += 1
        return AssertMalformed(line, self._script_module(), self.cursor.name(), custom)

    def _assert_invalid(self, line: int) -> AssertInvalid:
        custom = self.cursor.tokens[self.cursor.pos].endswith("_custom")
        self.cursor.pos += 1
        return AssertInvalid(line, self._script_module(), self.cursor.name(), custom)

    def _assert_unlinkable(self, line: int) -> AssertUnlinkable:
        self.cursor.pos += 1
        return AssertUnlinkable(line, self._module_or_instance(), self.cursor.name())

    def _identifier(self) -> str:
        found = self.cursor.identifier()
        if found is None:
            raise self.cursor.unexpected()
        return found

    def _thread(self, line: int) -> Thread:
        cursor = self.cursor
        cursor.pos += 1
        name = self._identifier()
        shared = []
        while cursor.open("shared"):
            cursor.expect("(")
            cursor.expect("module")
            shared.append(self._identifier())
            cursor.close()
            cursor.close()
        commands = []
        while cursor.tokens[cursor.pos] == "(":
            if cursor.at("thread"):
                raise cursor.error("a thread cannot start another thread")
            commands.append(self._command(self._lines(cursor.pos)))
        return Thread(line, name, tuple(shared), tuple(commands))

    def _wait(self, line: int) -> Wait:
        self.cursor.pos += 1
        return Wait(line, self._identifier())
