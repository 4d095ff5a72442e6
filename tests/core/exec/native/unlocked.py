"""What may release the GIL does so at every check, and whatever of Python's is used without it ends
the process: for `test_gil`, in processes of their own.
"""

from __future__ import annotations

import ctypes
from typing import Any

import trio

from asyncwasm.core.exec.native import compiler, externals, state
from asyncwasm.core.exec.native.abi import C_FUNCTIONS
from asyncwasm.core.runtime.words import ASKED, SEEN
from asyncwasm.testing import run_script
from tests import child
from tests.spec.suite import CORE, engine_for

# These are for whoever has not got it.
_ANYBODY = ("PyEval_RestoreThread", "PyThread_get_thread_ident")
_CHECK = "  call void @watched.gil()\n"
# After so many checks things go their usual way, or some scripts would take for ever.
_MOST = 20_000


def _address(name: str) -> int:
    return ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value or 0


def _watcher(name: str, ty: str) -> str:
    returns, params = ty.split(" ", 1)
    types = [p for p in params.strip("()").split(", ") if p]
    listed = ", ".join(f"{t} %p{n}" for n, t in enumerate(types))
    call = f"call {returns} inttoptr (i64 {externals.address_of(name)} to ptr)({listed})"
    end = f"  {call}\n  ret void" if returns == "void" else f"  %r = {call}\n  ret {returns} %r"
    return f"define {returns} @watched.{name}({listed}) {{\n{_CHECK}{end}\n}}"


def watch() -> compiler.Unit:
    """Check for the GIL in every C function and wherever references are counted."""
    check = f"""
define void @watched.gil() {{
  %has = call i32 inttoptr (i64 {_address("PyGILState_Check")} to ptr)()
  %bad = icmp eq i32 %has, 0
  br i1 %bad, label %end, label %go
end:
  call void inttoptr (i64 {_address("abort")} to ptr)()
  unreachable
go:
  ret void
}}"""
    names = [name for name in C_FUNCTIONS if name not in _ANYBODY]
    watchers = [_watcher(name, C_FUNCTIONS[name]) for name in names]
    unit = compiler.compile_unit("\n".join([check, *watchers]), speed=1)
    (address,) = unit.addresses(["watched.gil"])
    externals.declare("watched.gil", "declare void @watched.gil()", address)
    at = unit.addresses([f"watched.{name}" for name in names])
    for name, address in zip(names, at, strict=True):
        declaration = externals.declarations({name})[name]
        externals.declare(name, declaration, address)

    declarations, emit = externals.declarations, compiler._emit

    def watched_declarations(names: set[str]) -> dict[str, str]:
        return declarations(names | {"watched.gil"})

    def watched_emit(text: str, speed: int) -> bytes:
        for name in ("keep", "release", "to_python", "drop"):
            head = f"define internal void @{name}(ptr %o) {{\n"
            text = text.replace(head, head + _CHECK)
        return emit(text, speed)

    externals.declarations, compiler._emit = watched_declarations, watched_emit  # type: ignore
    return unit


def hurry() -> list[int]:
    """Let every check ask Python, and release the GIL if it can.  Counts how often it was."""
    tick, counts = state.tick, [0, 0]

    def hurried(store: Any) -> None:
        counts[0] += 1
        counts[1] += store.words[ASKED] != 0
        store.words[ASKED] = 0
        tick(store)
        if counts[0] < _MOST:
            store.words[SEEN] = 0

    state.tick = hurried
    return counts


def script(name: str, opt_level: str) -> None:
    """Run a script of the suite."""
    kept, counts = watch(), hurry()
    path = CORE / name
    engine = engine_for(path, "native", release_gil=True, opt_level=opt_level)
    result = trio.run(lambda: run_script(path.read_bytes(), engine=engine))
    assert not result.failures, result.failures
    assert counts[1], counts
    assert kept


if __name__ == "__main__":
    child.main(script=script)
