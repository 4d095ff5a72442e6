"""The state of validating one expression: operand types, control frames, initialised locals.

This is the algorithm of the specification's appendix, with one difference in layout: every
control frame lies on the operand stack too, below its operands.  So the bottom of a frame is
found by looking at the top of the stack, and underflow needs no comparison of heights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from asyncwasm.core.binary.limits import MAX_NESTING, MAX_OPERANDS, check_limit
from asyncwasm.core.types import NumType, RefType, ValType
from asyncwasm.errors import ValidationError

from .context import ModuleContext


@final
class Bottom:
    """The type of an operand that unreachable code makes up: it matches what is asked of it."""

    __slots__ = ("any_type",)

    def __init__(self, any_type: bool) -> None:
        self.any_type: Final = any_type

    def matches(self, other: ValType) -> bool:
        return self.any_type or isinstance(other, RefType)

    def __str__(self) -> str:
        return "bottom" if self.any_type else "(ref bottom)"


BOTTOM: Final = Bottom(True)
BOTTOM_REF: Final = Bottom(False)

Operand = ValType | Bottom
_MOST_KNOWN: Final = 10_000


@final
class Frame:
    """A control frame.

    `label` are the types that a branch to it takes, `height` its own place on the operand
    stack, `inits` how many locals had been initialised when it began.  `simple` says that
    nothing goes in or comes out and that its `end` leaves the function's body open.
    """

    __slots__ = ("height", "inits", "kind", "label", "params", "results", "simple", "unreachable")

    def __init__(
        self,
        kind: str,
        params: tuple[ValType, ...],
        results: tuple[ValType, ...],
        height: int,
        inits: int,
    ) -> None:
        self.kind = kind
        self.params: Final = params
        self.results: Final = results
        self.label: Final = params if kind == "loop" else results
        self.height: Final = height
        self.inits: Final = inits
        self.simple: Final = not params and not results and kind != "func"
        self.unreachable = False


@final
class Body:
    """The state of one expression.

    `code` are its bytes and `pos` the start of the instruction that is looked at; both count
    from the beginning of the body.  `locals` are the types of the locals, with None for one
    that is not initialised; `late` are the types of those that were not at the beginning, and
    `inits` which of them have been since, in order.  `constant` says that only constant
    instructions are allowed; the functions that they name go to `refs`.
    """

    __slots__ = (
        "code",
        "constant",
        "frames",
        "inits",
        "late",
        "locals",
        "module",
        "pos",
        "refs",
        "vals",
    )

    def __init__(
        self,
        module: ModuleContext,
        code: bytes,
        results: tuple[ValType, ...],
        locals: list[ValType | None],
        late: dict[int, ValType],
        *,
        constant: bool = False,
    ) -> None:
        self.module: Final = module
        self.code: Final = code
        self.pos = 0
        self.locals: Final = locals
        self.late: Final = late
        self.inits: Final[list[int]] = []
        self.constant: Final = constant
        self.refs: Final[set[int]] = set()
        outermost = Frame("func", (), results, 0, 0)
        self.frames: Final = [outermost]
        self.vals: Final[list[Operand | Frame]] = [outermost]

    # Operands

    def pop(self) -> Operand:
        """Take any operand."""
        top = self.vals[-1]
        if isinstance(top, Frame):
            if top.unreachable:
                return BOTTOM
            raise ValidationError("type mismatch: expected an operand but nothing on the stack")
        del self.vals[-1]
        return top

    def expect(self, expected: ValType) -> None:
        """Take an operand of a type that matches `expected`."""
        found = self.pop()
        if found is not expected and not found.matches(expected):
            raise self.mismatch(expected, found)

    def expect_all(self, expected: Sequence[ValType]) -> None:
        """Take operands of these types, the last from the top."""
        count = len(expected)
        if not count:
            return
        vals = self.vals
        # Nearly always the types are the very same, which needs no loop in Python.
        if tuple(vals[-count:]) == expected:
            del vals[-count:]
            return
        if self._match(vals[-count:], expected):
            del vals[-count:]
            return
        for ty in reversed(expected):
            top = vals[-1]
            if isinstance(top, Frame) and top.unreachable:
                # Whatever else is asked for, there is nothing but made up operands.
                return
            self.expect(ty)

    def _match(self, found: Sequence[Operand | Frame], expected: Sequence[ValType]) -> bool:
        """Whether operands are all there and of types that match.

        A call of two bytes may take a thousand operands, so what matched before is remembered.
        """
        if len(found) < len(expected):
            return False
        known = self.module.matches
        for pair in zip(found, expected, strict=True):
            operand, wanted = pair
            if operand is wanted or pair in known:
                continue
            if isinstance(operand, Frame) or not operand.matches(wanted):
                return False
            if len(known) > _MOST_KNOWN:
                known.clear()
            known.add(pair)
        return True

    def pop_ref(self) -> RefType | Bottom:
        """Take a reference."""
        found = self.pop()
        if found is BOTTOM:
            return BOTTOM_REF
        if isinstance(found, NumType):
            raise ValidationError(f"type mismatch: expected a reference, found {found}")
        return found

    def push(self, ty: Operand) -> None:
        self.vals.append(ty)

    def push_all(self, types: Sequence[ValType]) -> None:
        vals = self.vals
        vals.extend(types)
        # A few bytes of code may push a thousand operands, so only here can they get too many.
        if len(vals) > MAX_OPERANDS:
            check_limit(len(vals), MAX_OPERANDS, "operands on the stack")

    def mismatch(self, expected: ValType, found: Operand) -> ValidationError:
        describe = self.module.describe
        text = str(found) if isinstance(found, Bottom) else describe(found)
        return ValidationError(f"type mismatch: expected {describe(expected)}, found {text}")

    # Control

    def label(self, index: int) -> tuple[ValType, ...]:
        """The types that a branch to label `index` takes."""
        if index >= len(self.frames):
            raise ValidationError(f"unknown label {index}")
        return self.frames[-1 - index].label

    def enter(self, kind: str, params: tuple[ValType, ...], results: tuple[ValType, ...]) -> None:
        """Open a frame; its parameters have been taken already."""
        frame = Frame(kind, params, results, len(self.vals), len(self.inits))
        check_limit(len(self.frames), MAX_NESTING, "nested blocks")
        self.frames.append(frame)
        self.vals.append(frame)
        self.push_all(params)

    def leave(self) -> Frame:
        """Close the innermost frame, whose results must be all that is there."""
        frame = self.frames[-1]
        self.expect_all(frame.results)
        top = self.vals[-1]
        if top is not frame:
            raise ValidationError("type mismatch: values remain on the stack at the end of a block")
        del self.vals[-1]
        del self.frames[-1]
        self._forget_locals(frame)
        return frame

    def set_unreachable(self) -> None:
        frame = self.frames[-1]
        del self.vals[frame.height + 1 :]
        frame.unreachable = True

    # Locals

    def local(self, index: int) -> ValType:
        """The type of a local, initialised or not."""
        if index >= len(self.locals):
            raise ValidationError(f"unknown local {index}")
        return self.locals[index] or self.late[index]

    def initialise(self, index: int) -> None:
        """Note that a local has been set."""
        if self.locals[index] is None:
            self.locals[index] = self.late[index]
            self.inits.append(index)

    def _forget_locals(self, frame: Frame) -> None:
        for index in self.inits[frame.inits :]:
            self.locals[index] = None
        del self.inits[frame.inits :]
