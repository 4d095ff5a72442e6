"""From Python frames and exceptions back to WebAssembly: backtraces and implicit traps."""

from __future__ import annotations

import struct
from types import CodeType, TracebackType
from typing import Any, Final

from asyncwasm.core.binary.immediates import read_opcode
from asyncwasm.errors import Trap, TrapCode

from .translate import FILENAME

# Modules whose functions generated code calls, and which call nothing of the host's: what goes
# wrong there goes wrong in the guest.
_HELPERS: Final = (
    "asyncwasm.core.isa.",
    "asyncwasm.core.exec.interp.",
    "asyncwasm.core.runtime.gc",
    "asyncwasm.core.runtime.atomics",
)
_BOUNDS: Final = (
    TrapCode.ARRAY_OUT_OF_BOUNDS,
    TrapCode.TABLE_OUT_OF_BOUNDS,
    TrapCode.MEMORY_OUT_OF_BOUNDS,
)
# The suite's names for null references, by the instruction's name up to the dot or as a whole.
_NULLS: Final = {
    "struct": "null structure reference",
    "array": "null array reference",
    "i31": "null i31 reference",
    "call_ref": "null function reference",
    "return_call_ref": "null function reference",
    "throw_ref": "null exception reference",
}


def is_generated(code: CodeType) -> bool:
    """Whether `code` is the body of a guest function."""
    return code.co_filename == FILENAME and code.co_name[0] == "w"


def locate(namespace: dict[str, Any], code: CodeType, line: int) -> tuple[int, int | None] | None:
    """See `Executor.locate`."""
    instance = namespace.get("__wasm_instance__")
    if instance is None or not is_generated(code):
        return None
    index = int(code.co_name[1:])
    offset = instance._module.translations[index].offsets[line - 1]
    return index, offset or None


def classify(error: BaseException, traceback: TracebackType | None) -> Trap | None:
    """See `Executor.classify`."""
    # The last generated frame, and whether only helpers of ours are further in.
    frame = None
    is_ours = False
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if is_generated(code):
            frame, is_ours = traceback, True
        elif is_ours:
            name = traceback.tb_frame.f_globals.get("__name__", "")
            is_ours = name.startswith(_HELPERS) or code.co_filename == FILENAME
        traceback = traceback.tb_next
    if frame is None or not is_ours:
        return None
    if isinstance(error, RecursionError):
        return Trap(TrapCode.STACK_OVERFLOW)
    if isinstance(error, MemoryError):
        return Trap(TrapCode.ALLOCATION_TOO_LARGE)
    namespace = frame.tb_frame.f_globals
    found = locate(namespace, frame.tb_frame.f_code, frame.tb_lineno)
    if found is None or found[1] is None:
        return None
    row, _ = read_opcode(namespace["__wasm_instance__"].info.data, found[1])
    return _meaning(error, row.name, row.traps)


def _meaning(error: BaseException, name: str, traps: frozenset[TrapCode]) -> Trap | None:
    """What an exception means that was raised while the instruction `name` was executed."""
    if isinstance(error, ZeroDivisionError):
        if TrapCode.INTEGER_DIVISION_BY_ZERO in traps:
            return Trap(TrapCode.INTEGER_DIVISION_BY_ZERO)
    elif isinstance(error, (IndexError, struct.error, OverflowError, ValueError)):
        for bounds in _BOUNDS:
            if bounds in traps:
                detail = "undefined element" if "call_indirect" in name else None
                return Trap(bounds, detail)
    elif isinstance(error, (AttributeError, TypeError)) and TrapCode.NULL_REFERENCE in traps:
        detail = _NULLS.get(name) or _NULLS.get(name.partition(".")[0])
        return Trap(TrapCode.NULL_REFERENCE, detail)
    return None
