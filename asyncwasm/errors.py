"""Every public exception of asyncwasm, and the trap codes.

A leaf: this module imports nothing of ours.  Classes are split by whose fault it was:

* the guest's or the input's — subclasses of `WasmError`; programs may catch and go on;
* the host program's own misuse (what Wasmtime reports by panicking, or by its sync/async
  split errors) — subclasses of `UsageError`, deliberately *not* a `WasmError`, so that code
  which tolerates faulty guests does not hide faulty hosts.

Exceptions raised by host functions are never wrapped: they reach the embedder unchanged, with
the WebAssembly backtrace attached as a note.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

__all__ = [
    "AsyncSupportError",
    "CanonicalAbiError",
    "ComponentError",
    "ExitTrap",
    "Frame",
    "LinkError",
    "MalformedError",
    "MemoryAccessError",
    "ResourceLimitError",
    "StoreBusyError",
    "ThrownException",
    "Trap",
    "TrapCode",
    "UnknownImportError",
    "UsageError",
    "ValidationError",
    "WasmError",
    "WrongEngineError",
    "WrongStoreError",
    "WrongThreadError",
]


class TrapCode(enum.Enum):
    """Why a guest trapped.  The value is Wasmtime's message; `spec_message` the spec suite's."""

    STACK_OVERFLOW = "call stack exhausted"
    MEMORY_OUT_OF_BOUNDS = "out of bounds memory access"
    HEAP_MISALIGNED = "unaligned atomic"
    TABLE_OUT_OF_BOUNDS = "undefined element: out of bounds table access"
    INDIRECT_CALL_TO_NULL = "uninitialized element"
    BAD_SIGNATURE = "indirect call type mismatch"
    INTEGER_OVERFLOW = "integer overflow"
    INTEGER_DIVISION_BY_ZERO = "integer divide by zero"
    BAD_CONVERSION_TO_INTEGER = "invalid conversion to integer"
    UNREACHABLE = "wasm `unreachable` instruction executed"
    INTERRUPT = "interrupt"
    OUT_OF_FUEL = "all fuel consumed by WebAssembly"
    ATOMIC_WAIT_NON_SHARED_MEMORY = "atomic wait on non-shared memory"
    NULL_REFERENCE = "null reference"
    ARRAY_OUT_OF_BOUNDS = "out of bounds array access"
    ALLOCATION_TOO_LARGE = "allocation size too large"
    CAST_FAILURE = "cast failure"
    CANNOT_ENTER_COMPONENT = "cannot enter component instance"
    NO_ASYNC_RESULT = "async-lifted export failed to produce a result"
    ASYNC_DEADLOCK = "deadlock detected: event loop cannot make further progress"
    CANNOT_LEAVE_COMPONENT = "cannot leave component instance"
    CANNOT_BLOCK_SYNC_TASK = "cannot block a synchronous task before returning"
    INVALID_CHAR = "invalid `char` bit pattern"
    STRING_OUT_OF_BOUNDS = "string content out-of-bounds"
    LIST_OUT_OF_BOUNDS = "list content out-of-bounds"
    INVALID_DISCRIMINANT = "invalid variant discriminant"
    UNALIGNED_POINTER = "unaligned pointer"
    TASK_CANCEL_NOT_CANCELLED = "`task.cancel` called by task which has not been cancelled"
    TASK_CANCEL_OR_RETURN_TWICE = (
        "`task.return` or `task.cancel` called more than once for current task"
    )
    SUBTASK_CANCEL_AFTER_TERMINAL = "`subtask.cancel` called after terminal status delivered"
    TASK_RETURN_INVALID = "invalid `task.return` signature and/or options for current task"
    WAITABLE_SET_DROP_HAS_WAITERS = "cannot drop waitable set with waiters"
    SUBTASK_DROP_NOT_RESOLVED = "cannot drop a subtask which has not yet resolved"
    THREAD_NEW_INDIRECT_INVALID_TYPE = (
        "start function does not match expected type (currently only `(i32) -> ()` is supported)"
    )
    THREAD_NEW_INDIRECT_UNINITIALIZED = (
        "the start function index points to an uninitialized function"
    )
    BACKPRESSURE_OVERFLOW = "backpressure counter overflow"
    UNSUPPORTED_CALLBACK_CODE = "unsupported callback code"
    CANNOT_RESUME_THREAD = "cannot resume thread which is not suspended"
    CONCURRENT_FUTURE_STREAM_OP = "cannot have concurrent operations active on a future/stream"
    REFERENCE_COUNT_OVERFLOW = "reference count overflow"
    STREAM_OP_TOO_BIG = "stream read/write count too large"
    WAITABLE_SYNC_AND_ASYNC = "waitable cannot be used synchronously while added to a waitable set"
    UNCAUGHT_EXCEPTION = "uncaught exception propagated out of component"

    @property
    def spec_message(self) -> str:
        """The text with which the official test suite names this trap.

        A few traps have several texts there, told apart by the instruction that trapped; the
        more exact one is then `Trap.detail`.
        """
        return _SPEC_MESSAGES.get(self, self.value)


_SPEC_MESSAGES = {
    TrapCode.TABLE_OUT_OF_BOUNDS: "out of bounds table access",
    TrapCode.UNREACHABLE: "unreachable",
    TrapCode.ATOMIC_WAIT_NON_SHARED_MEMORY: "expected shared memory",
}


class WasmError(Exception):
    """Base of everything that a guest, a module or an input can be blamed for."""

    def __reduce__(self) -> tuple[object, ...]:
        # The arguments of `__init__` are not those of the message, which is what exceptions go by.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[WasmError], args: tuple[object, ...], state: dict[str, Any]) -> WasmError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class MalformedError(WasmError):
    """Bytes or text that do not follow the grammar of the binary or the text format.

    `offset` is the byte position in a binary, `line` and `column` (both from 1) the position
    in a text; whichever does not apply is None.
    """

    def __init__(
        self,
        message: str,
        *,
        offset: int | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.reason = message
        self.offset = offset
        self.line = line
        self.column = column
        super().__init__(message + _place(offset, line, column))


class ValidationError(WasmError):
    """A well-formed module that breaks a rule of validation, or uses a feature switched off.

    `offset` is the byte position of the offending construct in the binary, or None.
    """

    def __init__(self, message: str, *, offset: int | None = None) -> None:
        self.reason = message
        self.offset = offset
        super().__init__(message + _place(offset, None, None))


def _place(offset: int | None, line: int | None, column: int | None) -> str:
    if line is not None:
        return f" (at line {line}, column {column})"
    if offset is not None:
        return f" (at offset {offset:#x})"
    return ""


class LinkError(WasmError):
    """Imports that are missing, of the wrong number, or of the wrong type."""


class UnknownImportError(LinkError):
    """No definition was given for an import, or one defined as a trap was called.

    `module` and `name` are the import's names; `type` is its extern type, or None.
    """

    def __init__(self, module: str, name: str, type: Any = None) -> None:
        self.module = module
        self.name = name
        self.type = type
        super().__init__(f"unknown import: `{module}::{name}` has not been defined")


class ResourceLimitError(WasmError):
    """A limit of the store, of its limiter or of the implementation denied a resource."""


class MemoryAccessError(WasmError):
    """The host program read or wrote past the end of a memory."""

    def __init__(self) -> None:
        super().__init__("out of bounds memory access")


@dataclass(frozen=True, slots=True)
class Frame:
    """One WebAssembly frame of a backtrace.

    `module_name` and `func_name` come from the name section (None where it has none);
    `func_index` counts in the module's function index space; `module_offset` is the byte
    position of the instruction in the module and `func_offset` the same from the start of the
    function's body (both None where the engine cannot tell).
    """

    module_name: str | None
    func_index: int
    func_name: str | None
    module_offset: int | None
    func_offset: int | None

    def __str__(self) -> str:
        module = self.module_name or "<unknown>"
        func = self.func_name or f"<wasm function {self.func_index}>"
        offset = "?" if self.module_offset is None else f"{self.module_offset:#x}"
        return f"{offset:>8} - {module}!{func}"


def format_backtrace(frames: tuple[Frame, ...]) -> str:
    """Lay frames out as Wasmtime does, innermost first."""
    lines = [f"{i:>3}: {frame}" for i, frame in enumerate(frames)]
    return "\n".join(["error while executing at wasm backtrace:", *lines])


class Trap(WasmError):
    """Guest code trapped.

    `code` says why, `detail` is the specific text where the spec's suite has one (such as
    `out of bounds table access` for `table.get`), `frames` is the WebAssembly backtrace,
    innermost first, filled in when the trap first leaves guest code.
    """

    def __init__(
        self, code: TrapCode, detail: str | None = None, frames: tuple[Frame, ...] = ()
    ) -> None:
        self.code = code
        self.detail = detail
        self.frames = frames
        super().__init__(f"wasm trap: {code.value}")

    @property
    def message(self) -> str:
        """The spec suite's text for this trap."""
        return self.detail if self.detail is not None else self.code.spec_message


class ExitTrap(WasmError):
    """The guest asked to end with an exit status (WASI `proc_exit`); `code` is that status."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"exited with status {code}")


class ThrownException(WasmError):
    """A WebAssembly exception that no handler caught; `exn` is the `ExnRef` that was thrown.

    Raised from a host function it becomes an exception that guest code can catch.
    """

    def __init__(self, exn: Any) -> None:
        self.exn = exn
        super().__init__("thrown Wasm exception")


class CanonicalAbiError(WasmError):
    """A component broke a rule of the Canonical ABI that has no `TrapCode`.

    A pointer outside of memory, bad text, an unknown handle: the guest's fault like a trap, and
    with the same consequences.  The message says which.
    """


class ComponentError(WasmError):
    """A component's function returned the error case of its `result`; `payload` is its value."""

    def __init__(self, payload: Any = None) -> None:
        self.payload = payload
        super().__init__(repr(payload))


class UsageError(RuntimeError):
    """The host program used the API in a way that is never right."""


class AsyncSupportError(UsageError, AssertionError):
    """A sync entry point on a store that needs async ones, or the reverse."""


class StoreBusyError(UsageError):
    """A second task entered a store while a call is in progress there."""


class WrongStoreError(UsageError):
    """An object was used with a store that does not own it."""


class WrongEngineError(UsageError):
    """An object was used with an engine that it does not belong to."""


class WrongThreadError(UsageError):
    """A store or a fiber was used from a thread that does not own it."""
