"""The text of an adapter: its imports, the functions it is made of, and their locals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from asyncwasm.core.types import NumType

from ..syntax import StringEncoding
from .faults import Fault


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a call: how it encodes strings, and whether its memory has 64-bit addresses."""

    encoding: StringEncoding = StringEncoding.UTF8
    memory64: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """A side within an adapter, by the name that its imports start with."""

    name: str
    side: Side

    @property
    def pointer(self) -> NumType:
        """The core type of its addresses."""
        return NumType.I64 if self.side.memory64 else NumType.I32

    @property
    def pointer_size(self) -> int:
        """The size of its addresses in bytes."""
        return 8 if self.side.memory64 else 4

    @property
    def memory(self) -> str:
        """The name of its memory."""
        return f"${self.name}.memory"

    def widened(self, code: str) -> str:
        """The address that `code` gives, as an i64."""
        return code if self.side.memory64 else f"{code} i64.extend_i32_u"

    def narrowed(self, code: str) -> str:
        """The i64 that `code` gives, as an address."""
        return code if self.side.memory64 else f"{code} i32.wrap_i64"


def trap_if(condition: str, fault: Fault) -> str:
    """End the call if `condition` gives anything but 0."""
    return f"{condition} if {trap(fault)} end"


def trap(fault: Fault) -> str:
    """End the call."""
    return f"i32.const {int(fault)} call $trap unreachable"


class Module:
    """An adapter module as far as it is written.

    Imports and helper functions come to be when they are first asked for.  With `catches`,
    exceptions of guest functions end the call.
    """

    def __init__(self, *, catches: bool = False) -> None:
        self._catches: Final = catches
        self.imports: Final[dict[str, str]] = {}
        self._functions: Final[dict[str, str]] = {}
        self.need("trap", "(func $trap (param i32))")

    def need(self, name: str, item: str) -> None:
        """Import `name`, described by the text `item`."""
        self.imports.setdefault(name, item)

    def call(self, function: str, arguments: str, results: Iterable[NumType] = ()) -> str:
        """Call a guest's function."""
        call = f"{arguments} call {function}"
        if not self._catches:
            return call
        types = "".join(f" {t}" for t in results)
        return f"""block $done (result{types}) block $caught
        try_table (result{types}) (catch_all $caught) {call} end br $done end
        {trap(Fault.UNCAUGHT)} end"""

    def need_memory(self, end: End) -> None:
        """Import the memory of `end`."""
        index = "i64 " if end.side.memory64 else ""
        self.need(f"{end.name}.memory", f"(memory {end.memory} {index}0)")

    def need_flag(self, end: End) -> str:
        """Import the flag that says whether `end` may call; its name."""
        name = f"{end.name}.may-leave"
        self.need(name, f"(global ${name} (mut i32))")
        return f"${name}"

    def helper(self, name: str, write: Callable[[], str]) -> str:
        """The name of the function that `write` writes, everything but `(func $name`."""
        if name not in self._functions:
            # A name first, so that functions may call themselves.
            self._functions[name] = ""
            self._functions[name] = write()
        return f"${name}"

    def check(self, end: End) -> str:
        """A function that takes an address and a size as i64 and a fault.

        It ends the call with the fault unless all of that range is in the memory.
        """
        self.need_memory(end)
        pages = end.widened(f"memory.size {end.memory}")
        return self.helper(
            f"{end.name}.check",
            lambda: (
                f"""(param $at i64) (param $size i64) (param $fault i32) (local $bytes i64)
            {pages} i64.const 16 i64.shl local.set $bytes
            local.get $size local.get $bytes i64.gt_u
            if local.get $fault call $trap unreachable end
            local.get $at local.get $bytes local.get $size i64.sub i64.gt_u
            if local.get $fault call $trap unreachable end"""
            ),
        )

    def allocate(self, end: End) -> str:
        """A function that calls the allocator of `end` and checks what it gives.

        It takes the old address, and as i64 the old size, the alignment and the new size, and
        the fault if the result is not in the memory.
        """
        pointer = end.pointer
        name = f"{end.name}.realloc"
        self.need(name, f"(func ${name} (param {f'{pointer} ' * 4}) (result {pointer}))")
        flag, check = self.need_flag(end), self.check(end)
        at = end.widened("local.get $new")
        sizes = (end.narrowed(f"local.get ${size}") for size in ("old-size", "align", "size"))
        arguments = " ".join(("local.get $old", *sizes))
        return self.helper(
            f"{end.name}.allocate",
            lambda: (
                f"""(param $old {pointer}) (param $old-size i64) (param $align i64)
            (param $size i64) (param $fault i32) (result {pointer}) (local $new {pointer})
            i32.const 0 global.set {flag}
            {self.call(f"${name}", arguments, (pointer,))} local.set $new
            i32.const 1 global.set {flag}
            {at} local.get $align i64.const 1 i64.sub i64.and i64.const 0 i64.ne
            if {trap(Fault.UNALIGNED)} end
            {at} local.get $size local.get $fault call {check}
            local.get $new"""
            ),
        )

    def to_text(self) -> str:
        """The whole module."""
        imports = [f'(import "" "{name}" {item})' for name, item in self.imports.items()]
        functions = [f"(func ${name} {body})" for name, body in self._functions.items()]
        return "\n".join(["(module $component-adapter", *imports, *functions, ")"])


class Code:
    """A function's body as far as it is written, with the locals that it has asked for."""

    def __init__(self) -> None:
        self._lines: Final[list[str]] = []
        self._locals: Final[list[str]] = []

    def add(self, line: str) -> None:
        """Append instructions."""
        self._lines.append(line)

    def local(self, type: NumType) -> str:
        """The name of a new local, which is 0."""
        name = f"$v{len(self._locals)}"
        self._locals.append(f"(local {name} {type})")
        return name

    def put(self, type: NumType, code: str) -> str:
        """The name of a new local with what `code` gives."""
        name = self.local(type)
        self.add(f"{code} local.set {name}")
        return name

    def to_text(self) -> str:
        """Locals and instructions."""
        return " ".join(self._locals) + "\n" + "\n".join(self._lines)
