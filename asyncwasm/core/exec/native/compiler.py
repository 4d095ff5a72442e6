"""From IR text to machine code.  The one module that talks to LLVM.

It goes by way of relocatable objects, which can be kept on disk, and which a linker of LLVM's
brings into the process.  Code refers to nothing by address that is not the same in the next
process: what it needs of this one it finds through symbols (`externals`) and its context.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from . import externals
from .workers import BACKGROUND, FOREGROUND

if TYPE_CHECKING:
    from .cache import CodeFile

R = TypeVar("R")


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


@cache
def target() -> tuple[str, str, str, str]:
    """What objects are made for: LLVM's version, triple, processor and its features."""
    llvm = load()
    version = ".".join(map(str, llvm.llvm_version_info))
    features = llvm.get_host_cpu_features().flatten()
    return version, llvm.get_default_triple(), llvm.get_host_cpu_name(), features


class _Linker:
    """A linker for a number of objects; it keeps something of each, until all are gone."""

    MOST: Final = 64

    def __init__(self) -> None:
        # JITLink keeps the sections of an object together, as the small code model needs them.
        self.lljit: Final = load().create_lljit_compiler(_machine(0), use_jit_link=True)
        self.numbers: Final = iter(range(self.MOST))


_linkers: Final[list[_Linker]] = []


def _linker() -> tuple[_Linker, str]:
    """A linker, and a name that it does not know yet."""
    while True:
        if not _linkers:
            _linkers.append(_Linker())
        linker = _linkers[-1]
        number = next(linker.numbers, None)
        if number is not None:
            return linker, f"unit{number}"
        _linkers[:] = [_Linker()]


# Without registers for its values, a function of so many characters of IR would have a frame so
# large that real programs' recursion, of an interpreter's main loop say, exhausts the stack.
LARGE: Final = 300_000


@cache
def _machine(speed: int) -> Any:
    llvm = load()
    _, triple, cpu, features = target()
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=speed, reloc="pic", codemodel="small"
    )


@dataclass(frozen=True, slots=True)
class Object:
    """Machine code before it is linked, with the symbols that it needs and those it defines."""

    data: bytes
    imports: tuple[str, ...]
    exports: tuple[str, ...]

    def pack(self) -> bytes:
        """The object for storage."""
        return json.dumps([self.imports, self.exports]).encode() + b"\n" + self.data

    @staticmethod
    def unpack(packed: bytes) -> Object:
        """What was packed.  Raises `ValueError` for anything else."""
        line, _, data = packed.partition(b"\n")
        imports, exports = json.loads(line)
        return Object(data, tuple(imports), tuple(exports))


# What names begin with that stand for words of the module that is compiled.
MODULE: Final = "module."
# In the text that this package makes there is no `@` in strings.
_SYMBOLS: Final = re.compile(r"@([A-Za-z_][\w.]*)")
# Nothing is ever thrown through machine code, and tables for that would be half of many objects.
_HEADS: Final = re.compile(r"^(define .*) \{$", re.MULTILINE)
_EXPORTS: Final = re.compile(r"^define (?!internal )[^@]*@([A-Za-z_][\w.]*)", re.MULTILINE)


def emit(text: str, *, speed: int) -> Object:
    """Compile IR text; `speed` is LLVM's optimisation level, 0 to 3.

    What `externals` knows need not be declared, nor the module's own words.  Raises
    `CompileError`.
    """
    symbols = set(_SYMBOLS.findall(text))
    needed = externals.declarations(symbols)
    needed |= {
        name: f"@{name} = external global i64"
        for name in sorted(symbols)
        if name.startswith(MODULE)
    }
    whole = "\n".join([*needed.values(), _HEADS.sub(r"\1 nounwind {", text)])
    return Object(
        _guarded(lambda: _emit(whole, speed)), tuple(needed), tuple(_EXPORTS.findall(text))
    )


def _emit(text: str, speed: int) -> bytes:
    llvm = load()
    # Types and constants live as long as their context.
    module = llvm.parse_assembly(text, context=llvm.create_context())
    if not speed and len(text) > LARGE:
        # This leaves out all that is slow in a code generator that optimises, but registers.
        for function in module.functions:
            if not function.is_declaration and not _is_inlined(function):
                function.add_function_attribute("noinline")
                function.add_function_attribute("optnone")
        return bytes(_machine(1).emit_object(module))
    machine = _machine(speed)
    if speed:
        _optimise(module, machine, speed)
        if BACKGROUND.is_current():
            BACKGROUND.give_way(FOREGROUND)
    return bytes(machine.emit_object(module))


def _optimise(module: Any, machine: Any, speed: int) -> None:
    from llvmlite.binding.newpassmanagers import NewPassManager

    llvm = load()
    options = llvm.create_pipeline_tuning_options(speed_level=speed)
    builder = llvm.create_pass_builder(machine, options)
    manager = builder.getModulePassManager()
    try:
        manager.run(module, builder)
    finally:
        # Closing it frees nothing, 60 KB each time: another base's `_dispose` hides this one.
        NewPassManager._dispose(manager)
        manager.detach()


def _is_inlined(function: Any) -> bool:
    return any(b"alwaysinline" in each for each in function.attributes)


class Unit:
    """Linked machine code.  Freed with the object, so callers must keep it."""

    # What it was made from, and the name by which that is found again, if it belongs to no module.
    kept: tuple[str, bytes] | None = None

    def __init__(self, code: Object, address_of: Callable[[str], int] | None = None) -> None:
        """Bring `code` into the process; `address_of` knows the module's own words.

        Raises `CompileError`.
        """
        # In this order, in which they are freed.
        self._tracker, self._linker = _guarded(lambda: _link(code, address_of))

    def addresses(self, names: Sequence[str]) -> list[int]:
        """Where these functions are.  Raises `KeyError` if one of them is missing."""
        return [int(self._tracker[name]) for name in names]


def _link(code: Object, address_of: Callable[[str], int] | None) -> tuple[Any, _Linker]:
    linker, name = _linker()
    library = load().JITLibraryBuilder().add_object_img(code.data)
    for symbol in (*externals.IMPLIED, *code.imports):
        if address_of is not None and symbol.startswith(MODULE):
            address = address_of(symbol)
        else:
            address = externals.address_of(symbol)
        library.import_symbol(symbol, address)
    for symbol in code.exports:
        library.export_symbol(symbol)
    return library.link(linker.lljit, name), linker


_shared: CodeFile | None = None


def keep_in(file: CodeFile) -> None:
    """Keep what belongs to no module in `file`, from now on."""
    global _shared
    _shared = file


_known: Final[dict[str, bytes]] = {}


def know(items: Mapping[str, bytes]) -> None:
    """Use these, which are what `Unit.kept` was in another process."""
    _known.update(items)


def compile_unit(text: str, *, speed: int) -> Unit:
    """Compile and link IR text that belongs to no module.  Raises `CompileError`."""
    name = f"{speed}.{hashlib.sha256(text.encode()).hexdigest()}"
    packed = _known.get(name) or (_shared.items.get(name) if _shared else None)
    if packed is not None:
        with contextlib.suppress(ValueError):
            return _shared_unit(name, packed)
    packed = emit(text, speed=speed).pack()
    if _shared is not None:
        _shared.add(name, packed)
    return _shared_unit(name, packed)


def _shared_unit(name: str, packed: bytes) -> Unit:
    unit = Unit(Object.unpack(packed))
    unit.kept = name, packed
    return unit


def _guarded(work: Callable[[], R]) -> R:
    """Do something with LLVM, on a thread that is made for it.  Raises `CompileError`."""
    try:
        return work() if BACKGROUND.is_current() else FOREGROUND.run(work)
    except (RuntimeError, MemoryError, OSError, ImportError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise CompileError(lines[0]) from error
