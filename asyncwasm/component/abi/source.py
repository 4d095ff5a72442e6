"""Generated Python functions: how their source is put together and compiled."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, TypeAlias

from asyncwasm.component.types import Enum, Flags, ValType, Variant
from asyncwasm.component.values import Classes

from .layout import Options, parts_of

# A type with more parts than this gets a function of its own, which is made once.
_INLINE: Final = 40


# Adds lines to a body and gives what the function returns, if anything.
Write: TypeAlias = "Callable[[Body], str | None]"


@cache
def weight(ty: ValType) -> int:
    """About how much code a type takes."""
    if isinstance(ty, Enum | Flags):
        return 1
    cases = len(ty.cases) if isinstance(ty, Variant) else 0
    return 1 + cases // 4 + sum(map(weight, parts_of(ty)))


def is_small(ty: ValType) -> bool:
    """Whether the code for `ty` may be repeated wherever the type occurs."""
    return weight(ty) <= _INLINE


class Unit:
    """The generated functions for one set of options.

    They share a namespace, in which each is found under a name of its own, and are cached by what
    they are for.  Threads may use one unit together.
    """

    def __init__(self, classes: Classes, options: Options, namespace: dict[str, Any]) -> None:
        self.classes = classes
        self.options = options
        self.pointer_size = options.pointer_size
        # Codes of `struct`, small ones last.
        self.pointer_code = "Q" if options.memory64 else "I"
        self.namespace = namespace
        self._made: dict[object, str] = {}
        self._names = 0
        self._unwritten: dict[str, tuple[str, Write]] = {}
        self._lock = threading.RLock()

    def constant(self, value: Any) -> str:
        """The name under which generated code finds `value`."""
        with self._lock:
            self._names += 1
            name = f"k{self._names}"
            self.namespace[name] = value
            return name

    def shared(self, key: object, make: Callable[[], Any]) -> str:
        """`constant` of what `make` returns, once for each `key`."""
        with self._lock:
            name = self._made.get(key)
            if name is None:
                name = self._made[key] = self.constant(make())
            return name

    def structure(self, layout: str) -> str:
        """The name of the `struct.Struct` for `layout`, little-endian without implied padding."""
        return self.shared(("struct", layout), lambda: struct.Struct("<" + layout))

    def function(self, key: object, params: Iterable[str], write: Write) -> str:
        """The name of a function, one for each `key`, which is made when it is first called.

        `write` writes its body and gives the expression to return, if any.
        """
        with self._lock:
            name = self._made.get(key)
            if name is None:
                self._names += 1
                name = self._made[key] = f"f{self._names}"
                self._unwritten[name] = (", ".join(params), write)
                # Types may be nested deeply: functions must not be made within functions.
                self.namespace[name] = lambda *args: self.get(name)(*args)
            return name

    def get(self, name: str) -> Any:
        """The function with this name, made now if need be."""
        with self._lock:
            unwritten = self._unwritten.pop(name, None)
            if unwritten is not None:
                try:
                    self._write(name, *unwritten)
                except BaseException:
                    self._unwritten[name] = unwritten
                    raise
            return self.namespace[name]

    def _write(self, name: str, params: str, write: Write) -> None:
        body = Body(self)
        result = write(body)
        if result is not None:
            body.line(f"return {result}")
        source = "\n".join([f"def {name}({params}):", *(body.lines or [" pass"])])
        exec(compile(source, "<canonical abi>", "exec"), self.namespace)


class Body:
    """The lines of a generated function."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.lines: list[str] = []
        self.depth = 1
        self._fresh = 0

    def line(self, text: str) -> None:
        """Add a line."""
        self.lines.append(" " * self.depth + text)

    def fresh(self) -> str:
        """The name of a new variable."""
        self._fresh += 1
        return f"v{self._fresh}"

    def insert(self, at: int, text: str) -> None:
        """Add a line in front of line `at`, which has the same depth as the next one."""
        self.lines.insert(at, " " * self.depth + text)

    def assign(self, expression: str) -> str:
        """The name of a new variable with the value of `expression`."""
        name = self.fresh()
        self.line(f"{name} = {expression}")
        return name

    @contextmanager
    def block(self, header: str) -> Iterator[None]:
        """Lines added inside are below `header`."""
        self.line(header)
        before = len(self.lines)
        self.depth += 1
        yield
        if len(self.lines) == before:
            self.line("pass")
        self.depth -= 1

    def choose(self, selector: str, count: int, leaf: Callable[[int], None]) -> None:
        """Run the lines that `leaf(i)` adds where the number `selector` is `i` < `count`."""

        def choose(low: int, high: int) -> None:
            if high - low == 1:
                leaf(low)
                return
            middle = (low + high) // 2
            with self.block(f"if {selector} < {middle}:"):
                choose(low, middle)
            with self.block("else:"):
                choose(middle, high)

        choose(0, count)


def pad(slots: list[tuple[int, str]], end: int) -> str:
    """The `struct` layout with the codes at their offsets, `end` bytes long."""
    layout = []
    at = 0
    for offset, code in slots:
        if offset > at:
            layout.append(f"{offset - at}x")
        layout.append(code)
        at = offset + struct.calcsize("<" + code)
    if end > at:
        layout.append(f"{end - at}x")
    return "".join(layout)
