"""From IR text to machine code.  The one module that talks to LLVM."""

from __future__ import annotations

import _thread
import platform
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, TypeVar

R = TypeVar("R")

# LLVM recurses over what it compiles; a guest may be entered on a small or nearly used up stack.
_STACK: Final = 16 << 20
_LOCK: Final = threading.Lock()


class CompileError(Exception):
    """LLVM, or the system, could not make machine code; the text says why."""


@cache
def load() -> Any:
    """LLVM, ready for use.  Loading it takes a tenth of a second, which not every engine needs.

    Raises `ImportError` without llvmlite, and `CompileError` if the processor is too old.
    """
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    # Without these instructions rounding is done by C functions that not every system has.
    if platform.machine() in ("x86_64", "AMD64") and not features.get("sse4.1"):
        raise CompileError("the processor has no SSE4.1")
    return llvm


class Unit:
    """Machine code of one IR module.  Freed with the object, so callers must keep it."""

    def __init__(self, text: str, *, speed: int) -> None:
        """Compile `text`; `speed` is LLVM's optimisation level, 0 to 3.

        Raises `RuntimeError` for IR that LLVM does not accept.
        """
        llvm = load()
        self._module = llvm.parse_assembly(text)
        target = llvm.Target.from_default_triple()
        machine = target.create_target_machine(
            cpu=llvm.get_host_cpu_name(),
            features=llvm.get_host_cpu_features().flatten(),
            opt=speed,
            jit=True,
        )
        if speed:
            options = llvm.create_pipeline_tuning_options(speed_level=speed)
            builder = llvm.create_pass_builder(machine, options)
            builder.getModulePassManager().run(self._module, builder)
        self._engine: Any = llvm.create_mcjit_compiler(self._module, machine)
        self._engine.finalize_object()

    def addresses(self, names: Sequence[str]) -> list[int]:
        """Where these functions are.  Raises `RuntimeError` if one of them is missing."""
        found = [int(self._engine.get_function_address(name)) for name in names]
        if not all(found):
            raise RuntimeError("a compiled function has no address")
        return found


def compile_unit(text: str, *, speed: int) -> Unit:
    """`Unit(text, speed=speed)`, compiled on a thread with a stack of its own.

    Raises `CompileError`.  A signal handler that raises leaves the work to be thrown away.
    """
    try:
        return _aside(lambda: Unit(text, speed=speed))
    except (RuntimeError, MemoryError, OSError, ImportError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise CompileError(lines[0]) from error


def _aside(work: Callable[[], R]) -> R:
    done: list[R] = []
    failed: list[BaseException] = []
    busy = threading.Lock()
    busy.acquire()

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)
        finally:
            busy.release()

    with _LOCK:
        # The size is the process's setting for threads started from now on.
        before = threading.stack_size(_STACK)
        try:
            # `threading.Thread` waits for its start in Python: what a signal handler raises in
            # there can come out as a RuntimeError.
            _thread.start_new_thread(run, ())
        finally:
            threading.stack_size(before)
    busy.acquire()
    if failed:
        raise failed[0]
    return done[0]
