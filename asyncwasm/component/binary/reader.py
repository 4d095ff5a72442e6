"""A position in a component's bytes, with the primitives that sections are made of."""

from __future__ import annotations

from asyncwasm.core.binary.leb128 import read_name, read_signed, read_u32
from asyncwasm.core.isa.features import Feature, Features, require
from asyncwasm.core.module import Span
from asyncwasm.errors import MalformedError

from .limits import MAX_DEFINITIONS, MAX_NAME_BYTES, MAX_NESTING, check_limit

_EOF = "unexpected end-of-file"


def bad_byte(byte: int, what: str, offset: int) -> MalformedError:
    """The error for a byte that starts no alternative of `what`."""
    return MalformedError(f"invalid leading byte ({byte:#x}) for {what}", offset=offset)


class Budget:
    """What is left of the limits that hold for a component and all that is nested in it."""

    __slots__ = ("definitions", "depth")

    def __init__(self) -> None:
        self.definitions = 0
        self.depth = 0

    def define(self, count: int = 1) -> None:
        """Count definitions.  Raises `ResourceLimitError`."""
        self.definitions += count
        check_limit(self.definitions, MAX_DEFINITIONS, "definitions")

    def enter(self) -> None:
        """Enter a nested component or type declaration.  Raises `ResourceLimitError`."""
        self.depth += 1
        check_limit(self.depth, MAX_NESTING, "levels of nesting")

    def leave(self) -> None:
        """Leave what `enter` entered."""
        self.depth -= 1


class Reader:
    """Reads `data` from `pos` to `end`, which is where the section ends.

    Nothing is copied, so that offsets are those of the outermost component and reading takes time
    in proportion to the bytes, however many sections there are.
    """

    __slots__ = ("budget", "data", "end", "features", "pos")

    def __init__(self, data: bytes, pos: int, end: int, features: Features, budget: Budget) -> None:
        self.data = data
        self.pos = pos
        self.end = end
        self.features = features
        self.budget = budget

    def sub(self, end: int) -> Reader:
        """A reader from here to `end`; the caller moves this one on."""
        return Reader(self.data, self.pos, end, self.features, self.budget)

    def require(self, feature: Feature, offset: int) -> None:
        """Raise `ValidationError` unless `feature` is on."""
        require(self.features, feature, offset)

    def byte(self) -> int:
        pos = self.pos
        if pos >= self.end:
            raise MalformedError(_EOF, offset=pos)
        self.pos = pos + 1
        return self.data[pos]

    def peek(self) -> int:
        """The next byte, without reading it."""
        if self.pos >= self.end:
            raise MalformedError(_EOF, offset=self.pos)
        return self.data[self.pos]

    def u32(self) -> int:
        start = self.pos
        # A number that runs past the end of the data is short of bytes, not badly encoded.
        if start >= self.end or (self.end - start < 5 and self._runs_out(start)):
            raise MalformedError(_EOF, offset=start)
        value, self.pos = read_u32(self.data, start)
        return value

    def s33(self) -> int:
        start = self.pos
        if start >= self.end or (self.end - start < 5 and self._runs_out(start)):
            raise MalformedError(_EOF, offset=start)
        value, self.pos = read_signed(self.data, start, 33)
        return value

    def _runs_out(self, start: int) -> bool:
        return all(byte & 0x80 for byte in self.data[start : self.end])

    def count(self, limit: int, what: str) -> int:
        """The length of a vector, whose items take at least one byte each."""
        start = self.pos
        count = self.u32()
        if count > self.end - self.pos:
            raise MalformedError(_EOF, offset=start)
        check_limit(count, limit, what)
        return count

    def definitions(self) -> int:
        """The length of a vector of definitions or declarators."""
        count = self.count(MAX_DEFINITIONS, "definitions")
        self.budget.define(count)
        return count

    def name(self) -> str:
        start = self.pos
        size = self.u32()
        if size > self.end - self.pos:
            raise MalformedError(_EOF, offset=start)
        check_limit(size, MAX_NAME_BYTES, "bytes in a name")
        value, self.pos = read_name(self.data, start, self.end)
        return value

    def span(self) -> Span:
        """A vector of bytes, as their place."""
        size = self.u32()
        start = self.pos
        if size > self.end - start:
            raise MalformedError(_EOF, offset=start)
        self.pos = start + size
        return Span(start, self.pos)

    def flag(self) -> bool:
        """A byte that is 0 or 1."""
        start = self.pos
        value = self.byte()
        if value > 1:
            raise MalformedError(f"invalid boolean value ({value:#x})", offset=start)
        return value == 1

    def optional(self, what: str) -> bool:
        """The byte that says whether an optional item follows."""
        start = self.pos
        value = self.byte()
        if value > 1:
            raise bad_byte(value, what, start)
        return value == 1
