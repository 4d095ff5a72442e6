"""`asyncwasm run`: instantiate a module and call one of its functions."""

from __future__ import annotations

import argparse
import math
from typing import Any, NoReturn

import trio

from asyncwasm import Engine, Func, Instance, Linker, Module, Store, StoreLimits
from asyncwasm.errors import ExitTrap, Trap, WasmError

from ._failure import Failure, blame, describe
from ._files import display_name, read_bytes
from ._options import (
    add_engine_option,
    add_wasm_option,
    count,
    duration,
    make_config,
    size,
)
from ._values import parse_value, show_value

# What a shell makes of SIGABRT, with which native runtimes end on a trap.
_TRAPPED = 134


def make_parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        usage="%(prog)s [options] FILE [--invoke NAME] [ARG ...]",
        description="Instantiate a module, call its `_initialize` if it has one, and then the "
        'function that --invoke names, else its export "", else `_start`, if it has them.',
        epilog="Numbers are written as in the text format (42, -0x2a, 1.5e3, nan:0x1), vectors as "
        "one 128-bit number, null references as null.  Put -- in front of arguments that start "
        "with a dash and are not plain numbers.  Exit status: 0, or that with which the guest "
        f"exits, or {_TRAPPED} if it traps or runs out of time or fuel, or 1 for other failures.",
    )
    parser.add_argument("file", metavar="FILE", help="a module; - for standard input")
    parser.add_argument("args", metavar="ARG", nargs="*", help="arguments of the function")
    parser.add_argument("--invoke", metavar="NAME", help="the exported function to call")
    parser.add_argument("--fuel", metavar="N", type=count, help="trap after about N instructions")
    parser.add_argument(
        "--max-memory",
        metavar="BYTES",
        type=size,
        help="the most bytes that each memory may have, such as 67108864 or 64MiB",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=duration,
        help="the most time that everything may take, such as 2, 1.5s or 300ms",
    )
    add_engine_option(parser)
    add_wasm_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    file = display_name(args.file)
    # The module asks for shared memories itself; the host has no say in how it uses them.
    config = make_config(args, consume_fuel=args.fuel is not None, shared_memory=True)
    engine = Engine(config)
    data = read_bytes(args.file)
    with blame(file):
        module = Module(engine, data)
    try:
        trio.run(_main, args, engine, module)
    except ExitTrap as exit:
        return exit.code
    except WasmError as error:
        _fail(file, error)
    return 0


def _fail(file: str, error: WasmError) -> NoReturn:
    notes = tuple(getattr(error, "__notes__", ()))
    status = _TRAPPED if isinstance(error, Trap) else 1
    raise Failure(f"{file}: {describe(error)}", status=status, notes=notes) from error


async def _main(args: argparse.Namespace, engine: Engine, module: Module) -> None:
    store: Store[None] = Store(engine)
    if args.fuel is not None:
        store.set_fuel(args.fuel)
    if args.max_memory is not None:
        store.limiter(StoreLimits(memory_size=args.max_memory))
    with trio.move_on_after(math.inf if args.timeout is None else args.timeout) as scope:
        await _call(args, engine, store, module)
    if scope.cancelled_caught:
        file = display_name(args.file)
        raise Failure(f"{file}: timed out after {args.timeout:g} s", status=_TRAPPED)


async def _call(
    args: argparse.Namespace, engine: Engine, store: Store[None], module: Module
) -> None:
    instance = await Linker(engine).instantiate_async(store, module)
    initialize = instance.get_func(store, "_initialize")
    if initialize is not None:
        await initialize.call_async(store)
    func = _find(instance, store, args.invoke)
    if func is None:
        if args.args:
            raise Failure(f"{display_name(args.file)}: there is no function to give arguments to")
        return
    ty = func.ty(store)
    if len(args.args) != len(ty.params):
        raise Failure(
            f"expected {len(ty.params)} arguments for `{args.invoke or func.name}` "
            f"of type `{ty}`, got {len(args.args)}"
        )
    values = [parse_value(text, p) for text, p in zip(args.args, ty.params, strict=True)]
    found: Any = await func.call_async(store, *values)
    results = found if len(ty.results) > 1 else (found,) * len(ty.results)
    for value, result in zip(results, ty.results, strict=True):
        print(show_value(value, result))


def _find(instance: Instance, store: Store[None], name: str | None) -> Func | None:
    if name is None:
        return instance.get_func(store, "") or instance.get_func(store, "_start")
    func = instance.get_func(store, name)
    if func is None:
        raise Failure(f"no function is exported as `{name}`")
    return func
