"""From the bytes of a function to compiled Python, for all instances of its module."""

from __future__ import annotations

from array import array
from types import CodeType
from typing import Final, NamedTuple

from asyncwasm.core.module import ModuleInfo
from asyncwasm.core.types import V128, NumType, ValType

from .body import Body, Options
from .calls import finish
from .control import Control
from .flat import FlatControl, FlattestControl
from .jumps import TooDeepError
from .names import Binding, Constants
from .parse import Function, parse
from .registry import Instr
from .variable import width

FILENAME: Final = "<wasm>"
# What a whole function may take to be written without a dispatch loop; Python's limits are 20
# nested loops and 100 levels of indentation.
_FITTING_LOOPS: Final = 16
_FITTING_INDENTS: Final = 70
_PER_LINE: Final = 64
# Tried in this order; the last one works for everything.
STRATEGIES: Final[tuple[type[Control], ...]] = (Control, FlatControl, FlattestControl)


class Translation(NamedTuple):
    """A translated function.

    `code` is the body; its name is `w` and the function's index.  `entry` is the code of the
    ordinary form of a function with tail calls, else None.  `bindings` is what both need in
    their globals, and `offsets` has the module offset for each source line, from line 1.
    """

    code: CodeType
    entry: CodeType | None
    bindings: tuple[Binding, ...]
    offsets: array[int]
    source: str


def translate(info: ModuleInfo, index: int, constants: Constants, options: Options) -> Translation:
    """Translate function `index`, which must be valid.

    Raises `RecursionError` if there is too little of Python's stack left to do so.
    """
    for strategy in STRATEGIES:
        function = parse(info, index)
        root = function.root
        fits = root.loops <= _FITTING_LOOPS and root.indents <= _FITTING_INDENTS
        is_last = strategy is STRATEGIES[-1]
        if strategy is Control and not fits and not is_last:
            continue
        body = Body(info, constants, options, [width(ty) for ty in function.locals])
        try:
            _write(body, function, index, strategy)
            return _compile(body, function, index)
        except (TooDeepError, SyntaxError, MemoryError, RecursionError):
            if is_last:
                raise
    raise AssertionError


def _write(body: Body, function: Function, index: int, strategy: type[Control]) -> None:
    source = body.source
    params = len(function.type.params)
    arguments = ", ".join([f"l{i}" for i in range(params)])
    source.emit(f"def w{index}({arguments}):")
    source.depth = 1
    _initialise(body, function)
    label = len(source.lines)
    source.emit("")
    control = strategy(body, function)
    root = function.root
    control.charge(1)
    if options_need_check(body.options, function):
        control.checks(root.offset)
    control.write()
    if control.uses_label:
        source.lines[label] = " L = 0"
    source.depth = 0
    if function.has_tail_calls:
        raw = body.names.indexed("raw", "r", index)
        source.emit(f"def t{index}({arguments}):")
        source.emit(f" R = {raw}({arguments})")
        source.emit(f" return R if type(R) is not list else {body.helper(finish)}(R)")


def options_need_check(options: Options, function: Function) -> bool:
    """Whether the function has to look at fuel and interrupts when it is entered.

    Without loops and calls it is over soon, and whoever called it checks.
    """
    return options.checks_entries or (options.checks_interrupts and function.has_calls)


def _initialise(body: Body, function: Function) -> None:
    """Give locals their zeros, except where the code assigns them before anything else."""
    needed = set(function.used)
    read = set()
    for item in function.root.items:
        if not isinstance(item, Instr):
            break
        name = item.row.name
        if name == "local.get":
            read.add(item.immediates[0])
        elif name in ("local.set", "local.tee") and item.immediates[0] not in read:
            needed.discard(item.immediates[0])
    by_value: dict[str, list[str]] = {}
    for i in sorted(needed):
        if i >= len(function.type.params):
            by_value.setdefault(default(function.locals[i]), []).append(f"l{i}")
    for value, names in by_value.items():
        for start in range(0, len(names), _PER_LINE):
            body.source.emit(" = ".join((*names[start : start + _PER_LINE], value)))


def default(ty: ValType) -> str:
    """The source of a type's default value."""
    if ty is V128:
        return repr(bytes(16))
    if not isinstance(ty, NumType):
        return "None"
    return "0" if width(ty) else "0.0"


def _compile(body: Body, function: Function, index: int) -> Translation:
    text = body.source.text()
    module = compile(text, FILENAME, "exec", dont_inherit=True, optimize=0)
    codes = {code.co_name: code for code in module.co_consts if isinstance(code, CodeType)}
    return Translation(
        codes[f"w{index}"],
        codes.get(f"t{index}"),
        tuple(body.names.bindings.values()),
        body.source.offsets,
        text,
    )
