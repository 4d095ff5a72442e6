"""`asyncwasm run`: run a WASI program as if it were a native one, or call one function."""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import trio

from asyncwasm import Func, Instance, Linker, Module, Store, StoreLimits
from asyncwasm.component import Component
from asyncwasm.errors import CanonicalAbiError, ExitTrap, Trap, WasmError
from asyncwasm.wasi import INHERIT, Permission, WasiCtx, open_directory, p1
from asyncwasm.wasi.program import start

from ._code import compile_code
from ._failure import Failure, blame, describe
from ._files import display_name, read_bytes
from ._invoke import invoke_component
from ._options import (
    add_engine_option,
    add_wasm_option,
    count,
    duration,
    make_config,
    make_engine,
    size,
)
from ._progress import Progress
from ._values import parse_value, show_value

# What a shell makes of SIGABRT, with which native runtimes end on a trap.
_TRAPPED = 134
# Bytes of a program from which on loading it is worth a word.
_LARGE = 4 << 20


def make_parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        usage="%(prog)s [options] FILE [ARG ...]",
        description="Run a WASI (preview 1) program with the standard streams of this process. "
        "What follows FILE is the program's.  A module is instantiated, its `_initialize` called "
        'if it has one, and then the function that --invoke names, else its export "", else '
        "`_start`, if it has them.  Of a component, the function that --invoke names is called.",
        epilog="Arguments for --invoke are written as in the text format (42, -0x2a, 1.5e3, "
        "nan:0x1), vectors as one 128-bit number, null references as null.  For a component, "
        """--invoke has the whole call, with arguments in WAVE: 'f(1, "x")' or 'INTERFACE#f()'; """
        "the result is printed, and an error makes the exit status 1.  Exit status: that with "
        f"which the program exits, or {_TRAPPED} if it traps or runs out of time or fuel, or 1 for "
        "other failures.",
    )
    parser.add_argument("file", metavar="FILE", help="a module or component; - for standard input")
    parser.add_argument(
        "args", metavar="ARG", nargs=argparse.REMAINDER, help="arguments of the program"
    ).required = False  # for the message when there is no FILE
    parser.add_argument(
        "--invoke", metavar="NAME", help="the exported function to call; of a component, the call"
    )
    parser.add_argument(
        "--dir",
        metavar="HOST[::GUEST]",
        action="append",
        default=[],
        dest="dirs",
        help="a directory that the program may read and write, and its name for it; repeatable",
    )
    parser.add_argument(
        "--env",
        metavar="NAME[=VALUE]",
        action="append",
        default=[],
        help="an environment variable, by default with the value that it has here; repeatable",
    )
    parser.add_argument("--argv0", metavar="NAME", help="the program's name, by default FILE's")
    fuel = parser.add_argument(
        "--fuel", metavar="N", type=count, help="trap after about N instructions"
    )
    memory = parser.add_argument(
        "--max-memory",
        metavar="BYTES",
        type=size,
        help="the most bytes that each memory may have, such as 67108864 or 64MiB",
    )
    timeout = parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=duration,
        help="the most time that everything may take, such as 2, 1.5s or 300ms; loading the "
        "program is part of it, but only what comes then is stopped",
    )
    add_engine_option(parser)
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="neither use nor keep machine code in the user's cache directory",
    )
    add_wasm_option(parser, {"fuel": fuel, "max-memory-size": memory, "timeout": timeout})
    return parser


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line: whatever follows FILE, options too, is the program's."""
    return parser.parse_args(arguments)


def run(args: argparse.Namespace) -> int:
    started = time.monotonic()
    file = display_name(args.file)
    # The module asks for shared memories itself; the host has no say in how it uses them.
    config = make_config(
        args,
        consume_fuel=args.fuel is not None,
        shared_memory=True,
        cache=not args.no_cache,
    )
    engine = make_engine(config)
    data = read_bytes(args.file)
    progress = Progress(file)
    if len(data) > _LARGE:
        progress.say("loading")
    try:
        with blame(file):
            code = compile_code(engine, data)
        loading = time.monotonic() - started
        with ExitStack() as opened:
            ctx = opened.enter_context(_context(args, opened))
            ctx.stdout = progress.until_written(ctx.stdout)
            ctx.stderr = progress.until_written(ctx.stderr)
            status: int = trio.run(_main, args, code, ctx, loading, progress)
    except ExitTrap as exit:
        # As much of it as a process can exit with.
        return exit.code & 0xFF
    except WasmError as error:
        _fail(file, error)
    finally:
        progress.stop()
    return status


def _fail(file: str, error: WasmError) -> NoReturn:
    notes = tuple(getattr(error, "__notes__", ()))
    status = _TRAPPED if isinstance(error, Trap | CanonicalAbiError) else 1
    raise Failure(f"{file}: {describe(error)}", status=status, notes=notes) from error


def _context(args: argparse.Namespace, opened: ExitStack) -> WasiCtx:
    preopens = {}
    for text in args.dirs:
        host, separator, guest = text.partition("::")
        with blame(host):
            directory = open_directory(host, Permission.READ_WRITE)
        preopens[guest if separator else host] = opened.enter_context(directory)
    try:
        return WasiCtx(
            args=[args.argv0 or Path(args.file).name, *args.args],
            env=[variable for text in args.env for variable in _variable(text)],
            preopens=preopens,
            # Standard input has been read to its end if the module came from there.
            stdin=None if args.file == "-" else INHERIT,
            stdout=INHERIT,
            stderr=INHERIT,
        )
    except ValueError as error:
        raise Failure(str(error), status=2) from error


def _variable(text: str) -> list[tuple[str, str]]:
    name, separator, value = text.partition("=")
    if separator:
        return [(name, value)]
    found = os.environ.get(name)
    return [] if found is None else [(name, found)]


async def _main(
    args: argparse.Namespace,
    code: Module | Component,
    ctx: WasiCtx,
    loading: float,
    progress: Progress,
) -> int:
    store = Store(code.engine, ctx)
    status = 0
    if args.fuel is not None:
        store.set_fuel(args.fuel)
    if args.max_memory is not None:
        store.limiter(StoreLimits(memory_size=args.max_memory))
    left = math.inf if args.timeout is None else max(0.0, args.timeout - loading)
    if progress.active:
        # Not in a nursery, which would put exceptions into a group.
        trio.lowlevel.spawn_system_task(progress.watch, code.engine)
    with trio.move_on_after(left) as scope:
        if isinstance(code, Component):
            status = await _call_component(args, store, code)
        else:
            await _call(args, store, code)
    if scope.cancelled_caught:
        file = display_name(args.file)
        raise Failure(f"{file}: timed out after {args.timeout:g} s", status=_TRAPPED)
    return status


async def _call_component(
    args: argparse.Namespace, store: Store[WasiCtx], component: Component
) -> int:
    file = display_name(args.file)
    if args.invoke is None:
        raise Failure(f"{file}: a component is run with --invoke 'NAME(ARGUMENT, ...)'", status=2)
    if args.args:
        raise Failure(f"{file}: a component gets its arguments from --invoke", status=2)
    return await invoke_component(store, component, args.invoke)


async def _call(args: argparse.Namespace, store: Store[WasiCtx], module: Module) -> None:
    linker = Linker(module.engine)
    p1.add_imports_async(linker, module)
    instance = await start(linker, store, module)
    func = _find(instance, store, args.invoke)
    if args.invoke is not None and func is not None:
        await _invoke(args, store, func)
    elif func is not None:
        await func.call_async(store)
    elif args.args:
        raise Failure(f"{display_name(args.file)}: there is no function to give arguments to")


def _find(instance: Instance, store: Store[WasiCtx], name: str | None) -> Func | None:
    if name is None:
        return instance.get_func(store, "") or instance.get_func(store, "_start")
    func = instance.get_func(store, name)
    if func is None:
        raise Failure(f"no function is exported as `{name}`")
    return func


async def _invoke(args: argparse.Namespace, store: Store[WasiCtx], func: Func) -> None:
    ty = func.ty(store)
    texts = args.args[1:] if args.args[:1] == ["--"] else args.args
    if len(texts) != len(ty.params):
        raise Failure(
            f"expected {len(ty.params)} arguments for `{args.invoke}` "
            f"of type `{ty}`, got {len(texts)}"
        )
    values = [parse_value(text, p) for text, p in zip(texts, ty.params, strict=True)]
    found: Any = await func.call_async(store, *values)
    results = found if len(ty.results) > 1 else (found,) * len(ty.results)
    for value, result in zip(results, ty.results, strict=True):
        print(show_value(value, result))
