"""Writing LLVM IR as text: one function at a time, a line at a time.

LLVM parses text faster than llvmlite's object builder makes it, and text is what golden tests
and dumps want anyway.
"""

from __future__ import annotations

import ctypes
import re
from typing import TYPE_CHECKING, Final

from asyncwasm.core.types import NumType, ValType

from . import externals
from .abi import C_FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

_IR_TYPES: Final[dict[ValType, str]] = {
    NumType.I32: "i32",
    NumType.I64: "i64",
    NumType.F32: "float",
    NumType.F64: "double",
    NumType.V128: "<2 x i64>",
}
ZEROS: Final = {
    "i32": "0",
    "i64": "0",
    "float": "0.0",
    "double": "0.0",
    "<2 x i64>": "zeroinitializer",
    "ptr": "null",
}


def ir_type(ty: ValType) -> str:
    """The IR type of a raw value; all references are pointers."""
    return _IR_TYPES.get(ty, "ptr")


def _declare_c_functions() -> None:
    for name, ty in C_FUNCTIONS.items():
        # What this Python does not have is found out elsewhere: `support`.
        function = getattr(ctypes.pythonapi, name, None)
        address = ctypes.cast(function, ctypes.c_void_p).value if function else None
        returns, params = ty.split(" ", 1)
        externals.declare(name, f"declare {returns} @{name}{params} nounwind", address or 0)


_declare_c_functions()


def object_address(item: object, name: str = "") -> str:
    """A Python object that is never freed, as an IR constant.

    It is known by its type's name, or its own if it is a type itself, unless `name` is given.
    """
    owner = item if isinstance(item, type) else type(item)
    # Its count and its type.
    symbol = f"object.{name or owner.__name__}"
    return externals.declare_data(symbol, "[2 x i64]", id(item))


def c_call(name: str, *args: str) -> str:
    """A call of a C function, as the text of an IR instruction."""
    ty = C_FUNCTIONS[name]
    params = [p for p in ty[ty.index("(") + 1 : -1].split(", ") if p]
    listed = ", ".join(f"{p} {a}" for p, a in zip(params, args, strict=True))
    return f"call {ty} @{name}({listed})"


# Makes sure of the GIL, before anything of Python's is used; see `gil`.
HOLD: Final = "call void @hold(ptr %ctx)"

# What `call_helper` takes beside the callable and their number.
HELPER_OPERANDS: Final = 5


def helper_call(callable: str, *operands: str) -> str:
    """A call of a Python callable with i64 operands, as the text of an IR instruction.

    It gives a status and, of an integer, the value as an i64.
    """
    padded = [*operands, *["0"] * (HELPER_OPERANDS - len(operands))]
    listed = ", ".join(f"i64 {operand}" for operand in padded)
    head = f"ptr %ctx, ptr {callable}, i64 {len(operands)}"
    return f"call {{ i32, i64 }} @call_helper({head}, {listed})"


# Stands after every call that may change what others see.
_CALLED: Final = "  ; called"
# What calls of these change nobody sees.
_QUIET: Final = re.compile(
    r"musttail|@(?:llvm\.|loaded\.|(?:to_single|from_single|keep|hold|regain)\b)"
)


class Emitter:
    """The body of one IR function under construction.

    `block` is the label of the block that lines go to, or None after a terminator: whatever is
    emitted then is unreachable and dropped.
    """

    def __init__(self) -> None:
        self.allocas: list[str] = []
        # What is done before the first of `lines`, and after every call.
        self.first: list[str] = []
        self.after_calls: Callable[[], list[str]] = list
        # What is done where ways meet.
        self.on_meeting: Callable[[], None] = lambda: None
        self.lines: list[str] = []
        self.block: str | None = "start"
        # What goes before everything else; a terminator to `start`.
        self.prologue = ["  br label %start"]
        self._names = 0

    @property
    def count(self) -> int:
        """How many names were made."""
        return self._names

    def fresh(self, hint: str = "v") -> str:
        """A name that is not used yet, without its sigil."""
        self._names += 1
        return f"{hint}{self._names}"

    def op(self, text: str) -> str:
        """Emit an instruction with a result; its name, with the sigil."""
        name = f"%{self.fresh()}"
        self.do(f"{name} = {text}")
        return name

    def do(self, text: str) -> None:
        """Emit an instruction without a result."""
        if self.block is not None:
            self.lines.append(f"  {text}")
            if "call " in text and not _QUIET.search(text):
                self.lines.append(_CALLED)

    def alloca(self, ty: str, hint: str = "a") -> str:
        """A stack slot, made once at the function's entry."""
        name = f"%{self.fresh(hint)}"
        self.allocas.append(f"  {name} = alloca {ty}")
        return name

    def label(self, name: str, *, always_after: bool = False) -> None:
        """Start block `name`.  The block before must have ended.

        `always_after` is whether what was written last, but for side ways out, always ran before.
        """
        assert self.block is None
        if not always_after:
            self.on_meeting()
        self.lines.append(f"{name}:")
        self.block = name

    def end(self, text: str) -> None:
        """Emit a terminator."""
        self.do(text)
        self.block = None

    def jump(self, label: str) -> None:
        """Go to `label`."""
        self.end(f"br label %{label}")

    def branch(self, condition: str, then: str, otherwise: str, *, unlikely: bool = False) -> None:
        """Go to `then` if the i1 `condition` holds, else to `otherwise`."""
        weights = ", !prof !0" if unlikely else ""
        self.end(f"br i1 {condition}, label %{then}, label %{otherwise}{weights}")

    def text(self) -> str:
        """All lines, the stack slots first."""
        lines = ["entry:", *self.allocas, *self.prologue, "start:", *self.first]
        for line in self.lines:
            if line is _CALLED:
                lines += self.after_calls()
            else:
                lines.append(line)
        return "\n".join(lines)
