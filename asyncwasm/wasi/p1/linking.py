"""The functions of preview 1 as definitions of a linker."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Final

from asyncwasm.core import Caller, FuncType, Linker, Module, NumType
from asyncwasm.errors import UsageError

from ..ctx import WasiCtx
from ..host.driver import BLOCKING, LOOP, Driver, finish
from ..host.filesystem import FilesystemError, Whence
from . import args, clock, fd, path, poll, proc, random, sched, sock
from .call import Abi, Call, Function
from .errno import Errno, GuestError, errno_of
from .memory import GuestMemory
from .table import Table
from .types import FILESTAT, SUBSCRIPTION, UNSTABLE_FILESTAT, UNSTABLE_SUBSCRIPTION

FUNCTIONS: Final[dict[str, Function]] = {
    **args.FUNCTIONS,
    **clock.FUNCTIONS,
    **fd.FUNCTIONS,
    **path.FUNCTIONS,
    **poll.FUNCTIONS,
    **proc.FUNCTIONS,
    **random.FUNCTIONS,
    **sched.FUNCTIONS,
    **sock.FUNCTIONS,
}

ABIS: Final = {
    "wasi_snapshot_preview1": Abi(FILESTAT, SUBSCRIPTION, (Whence.SET, Whence.CURRENT, Whence.END)),
    "wasi_unstable": Abi(
        UNSTABLE_FILESTAT, UNSTABLE_SUBSCRIPTION, (Whence.CURRENT, Whence.END, Whence.SET)
    ),
}

_NOT_IN_UNSTABLE: Final = frozenset({"sock_accept"})
_TYPES: Final = {"i": NumType.I32, "I": NumType.I64, "s": NumType.I64}
# Arguments arrive signed; None leaves them so.
_MASKS: Final = {"i": (1 << 32) - 1, "I": (1 << 64) - 1, "s": None}


def _only(data: Any) -> WasiCtx:
    """The context of a store that has nothing else for its data."""
    if not isinstance(data, WasiCtx):
        raise UsageError(
            f"the store's data is {type(data).__name__}, not WasiCtx: "
            "tell the linker with `get_ctx` where in there the context is"
        )
    return data


def add_to_linker_async(linker: Linker, get_ctx: Callable[[Any], WasiCtx] = _only) -> None:
    """Define `wasi_snapshot_preview1`, and `wasi_unstable`, for guests that are called async.

    `get_ctx(data)` finds a program's context in its store's data; without it, the data is the
    context.  Whatever may wait suspends the guest: sleeps, polls, reads of streams; files are
    worked on in a few worker threads.

    Raises `LinkError` if one of the names is taken.
    """
    _add(linker, get_ctx, LOOP)


def add_to_linker_sync(linker: Linker, get_ctx: Callable[[Any], WasiCtx] = _only) -> None:
    """As `add_to_linker_async`, for guests that are called sync: what waits blocks the thread.

    Reading or writing an async stream raises `UsageError`.
    """
    _add(linker, get_ctx, BLOCKING)


def add_imports_async(
    linker: Linker, module: Module, get_ctx: Callable[[Any], WasiCtx] = _only
) -> None:
    """As `add_to_linker_async`, only what `module` imports: quicker, for one program."""
    _add(linker, get_ctx, LOOP, {(wanted.module, wanted.name) for wanted in module.imports})


def _add(
    linker: Linker,
    get_ctx: Callable[[Any], WasiCtx],
    driver: Driver,
    wanted: Collection[tuple[str, str]] | None = None,
) -> None:
    for module, abi in ABIS.items():
        for name, function in FUNCTIONS.items():
            if module == "wasi_unstable" and name in _NOT_IN_UNSTABLE:
                continue
            if wanted is not None and (module, name) not in wanted:
                continue
            ty = FuncType(
                tuple(_TYPES[letter] for letter in function.params),
                () if name == "proc_exit" else (NumType.I32,),
            )
            entry = _entry(function, get_ctx, driver, abi)
            entry.__qualname__ = entry.__name__ = name
            if driver is LOOP and inspect.iscoroutinefunction(function.fn):
                linker.func_new_async(module, name, ty, entry)
            else:
                linker.func_new(module, name, ty, entry)


def _entry(
    function: Function, get_ctx: Callable[[Any], WasiCtx], driver: Driver, abi: Abi
) -> Callable[..., Any]:
    fn = function.fn
    masks = [_MASKS[letter] for letter in function.params]

    def begin(caller: Caller[Any], raw: tuple[int, ...]) -> Any:
        ctx = get_ctx(caller.data)
        table = ctx.adapter(Table, Table)
        call = Call(ctx, table, GuestMemory(caller), driver, abi)
        return fn(call, *[v if m is None else v & m for v, m in zip(raw, masks, strict=True)])

    def run(caller: Caller[Any], *raw: int) -> int:
        try:
            begin(caller, raw)
        except (GuestError, FilesystemError, OSError) as error:
            return errno_of(error)
        return Errno.SUCCESS

    async def run_async(caller: Caller[Any], *raw: int) -> int:
        try:
            await begin(caller, raw)
        except (GuestError, FilesystemError, OSError) as error:
            return errno_of(error)
        return Errno.SUCCESS

    def run_blocking(caller: Caller[Any], *raw: int) -> int:
        work: Coroutine[Any, Any, int] = run_async(caller, *raw)
        return finish(work)

    if not inspect.iscoroutinefunction(fn):
        return run
    return run_async if driver is LOOP else run_blocking
