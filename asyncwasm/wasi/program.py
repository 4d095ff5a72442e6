"""Running a program from start to end: `run`, and the limits for those that are not trusted."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from asyncwasm.core import Config, Engine, Instance, Linker, Module, Store, StoreLimits
from asyncwasm.errors import ExitTrap, ResourceLimitError

from . import p1
from .ctx import Environment, HostDirectory, WasiCtx
from .host.driver import time_limit
from .host.stdio import BytesOutput, StdinSource, StdoutTarget
from .host.threads import computing, turn

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from .host.clocks import MonotonicClock, WallClock
    from .host.random import Random
    from .host.sockets import Socket


@dataclass(frozen=True, kw_only=True)
class RunLimits:
    """What one run may use.  None is no limit; `dataclasses.replace` changes some.

    * `timeout`: seconds for everything, loading the program included.
    * `fuel`: instructions, about.
    * `max_memory`: bytes, of each memory; `max_memories` how many there may be.
    * `max_table_elements`: of each table.
    * `max_output`: bytes that are kept of standard output and of standard error, each the last
      ones.
    * `max_module_size`: bytes of the program, which bound the work of loading it.
    * `max_function_size`: bytes of a function's body.  One is translated when it is first called,
      in one go, which takes the event loop about five seconds for a megabyte.
    * `gc_objects`: whether the guest may make objects of the GC proposal, which nothing else
      limits.
    """

    timeout: float | None = None
    fuel: int | None = None
    max_memory: int | None = None
    max_memories: int = 10_000
    max_table_elements: int | None = None
    max_output: int = 1 << 20
    max_module_size: int | None = None
    max_function_size: int | None = None
    gc_objects: bool = True


SANDBOX: Final = RunLimits(
    timeout=10.0,
    max_memory=256 << 20,
    max_memories=1,
    max_table_elements=1_000_000,
    max_module_size=32 << 20,
    max_function_size=128 << 10,
    gc_objects=False,
)
"""For programs that nobody vouches for: ten seconds, 256 MiB, a megabyte of output each way, 32 MiB
of program."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a program ended.

    `exit_code` is what it gave `proc_exit`, a u32, or 0.  `stdout` and `stderr` are what was
    captured; they are cut off at their start if `truncated`.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes
    truncated: bool = False


async def run(
    program: str | os.PathLike[str] | bytes | Module,
    *,
    args: Sequence[str] = (),
    env: Environment = (),
    stdin: StdinSource = None,
    stdout: StdoutTarget = None,
    stderr: StdoutTarget = None,
    capture: bool = False,
    dirs: Mapping[str, HostDirectory] | None = None,
    sockets: Iterable[socket.socket | Socket] = (),
    argv0: str | None = None,
    limits: RunLimits | None = None,
    timeout: float | None = None,
    fuel: int | None = None,
    max_memory: int | None = None,
    max_output: int | None = None,
    wall_clock: WallClock | None = None,
    monotonic_clock: MonotonicClock | None = None,
    random: Random | None = None,
) -> RunResult:
    """Run a WASI command to its end: `_initialize`, if there is one, and `_start`.

    `program` is the path of a module, its bytes (binary or text), or a `Module`, which is the
    way to run one often.  `args` come after the program's name, `argv0`.  What a program is
    given is described at `WasiCtx`; `dirs` are its `preopens`.  With `capture` what it writes to
    the standard streams that go nowhere else is in the result.

    `limits` bound what it uses; `timeout`, `fuel`, `max_memory` and `max_output` change single
    ones.  Function bodies are validated when they are first called.  A `Module` comes with its
    engine, whose configuration stays as it is.

    Always checkpoints.  However it ends, whatever the program opened is closed.  Raises
    `TimeoutError`, what the guest ends with but an exit (`Trap`, …), what a host function such
    as a callable `stdin` raises, and for the program itself `OSError`, `MalformedError`,
    `ValidationError`, `LinkError` and `ResourceLimitError`.
    """
    bounds = _with(
        limits or RunLimits(),
        timeout=timeout,
        fuel=fuel,
        max_memory=max_memory,
        max_output=max_output,
    )
    captured = [BytesOutput(bounds.max_output), BytesOutput(bounds.max_output)]
    if capture:
        stdout = captured[0] if stdout is None else stdout
        stderr = captured[1] if stderr is None else stderr
    with time_limit(bounds.timeout):
        if isinstance(program, Module):
            module = program
        else:
            module = await computing(_load, program, bounds)
        async with turn():
            ctx = WasiCtx(
                args=[argv0 or _name(program, module), *args],
                env=env,
                preopens=dirs,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                sockets=sockets,
                wall_clock=wall_clock,
                monotonic_clock=monotonic_clock,
                random=random,
            )
            linker = Linker(module.engine)
            p1.add_imports_async(linker, module)
        with ctx:
            code = await _run(linker, module, ctx, bounds)
    return RunResult(
        code,
        captured[0].getvalue(),
        captured[1].getvalue(),
        captured[0].truncated or captured[1].truncated,
    )


def _with(limits: RunLimits, **changes: Any) -> RunLimits:
    return replace(limits, **{k: v for k, v in changes.items() if v is not None})


def _load(program: str | os.PathLike[str] | bytes, limits: RunLimits) -> Module:
    most = limits.max_module_size
    if isinstance(program, (bytes, bytearray, memoryview)):
        data = bytes(program)
    else:
        with Path(program).open("rb") as file:
            # No more than is needed to see that it is too much.
            data = file.read() if most is None else file.read(most + 1)
    if most is not None and len(data) > most:
        raise ResourceLimitError(f"the program is larger than the limit of {most} bytes")
    config = Config(
        consume_fuel=limits.fuel is not None,
        lazy_validation=True,
        wasm_gc=limits.gc_objects,
    )
    module = Module(Engine(config), data)
    longest = max((body.end - body.start for body in module.info.bodies), default=0)
    if limits.max_function_size is not None and longest > limits.max_function_size:
        raise ResourceLimitError(
            f"a function of {longest} bytes is larger than the limit of "
            f"{limits.max_function_size} bytes"
        )
    return module


def _name(program: str | os.PathLike[str] | bytes | Module, module: Module) -> str:
    if isinstance(program, (str, os.PathLike)):
        return Path(program).name
    return module.name or "program"


async def _run(linker: Linker, module: Module, ctx: WasiCtx, limits: RunLimits) -> int:
    store = Store(module.engine, ctx)
    if limits.fuel is not None:
        store.set_fuel(limits.fuel)
    store.limiter(
        StoreLimits(
            memory_size=limits.max_memory,
            table_elements=limits.max_table_elements,
            memories=limits.max_memories,
        )
    )
    try:
        instance = await start(linker, store, module)
        main = instance.get_func(store, "") or instance.get_func(store, "_start")
        if main is not None:
            await main.call_async(store)
    except ExitTrap as exit:
        return exit.code
    finally:
        store.close()
    return 0


async def start(linker: Linker, store: Store[Any], module: Module) -> Instance:
    """Instantiate a program, and call its `_initialize` if it has one."""
    instance = await linker.instantiate_async(store, module)
    initialize = instance.get_func(store, "_initialize")
    if initialize is not None:
        try:
            await initialize.call_async(store)
        except Exception as error:
            error.add_note("calling the Reactor initialization function")
            raise
    return instance
