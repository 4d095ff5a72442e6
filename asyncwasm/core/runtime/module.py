"""`Module`: a compiled module, independent of any store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.binary.names import NameSection, read_names
from asyncwasm.core.module import ExternKind, ModuleInfo
from asyncwasm.core.text import assemble
from asyncwasm.core.types import ExportType, ExternFunc, ExternType, ImportType
from asyncwasm.core.validate import validate_function, validate_module

from . import serialized

if TYPE_CHECKING:
    from .engine import Engine

_CONTAINER = serialized.Container("module")

Source = bytes | bytearray | memoryview | str


@final
@dataclass(frozen=True, slots=True, eq=False)
class ModuleExport:
    """A name looked up once in a module, for any instance of it; see `get_export_index`."""

    module: Module
    name: str


@dataclass(frozen=True, slots=True)
class ResourcesRequired:
    """What an instance of a module takes.

    Counts of the memories and tables that it defines, and the largest initial size among
    them: in pages for memories, in elements for tables (None without any).
    """

    num_memories: int
    max_initial_memory_size: int | None
    num_tables: int
    max_initial_table_size: int | None


@final
class Module:
    """A module, decoded and validated.  Immutable; may be shared between threads and pickled.

    `wasm` is a binary, or text in the text format (a `str`, or bytes that do not start with
    the binary magic).  Raises `MalformedError` or `ValidationError` with the place.

    Function bodies are validated here, unless `Config.lazy_validation` puts that off to their
    first call, and translated when they are first called.  Follows Wasmtime's `Module`.
    """

    def __init__(self, engine: Engine, wasm: Source) -> None:
        self._load(engine, to_binary(wasm))

    _engine: Engine
    info: ModuleInfo

    def _load(self, engine: Engine, data: bytes) -> None:
        features, lazy = engine.config.features, engine.config.lazy_validation
        info = decode_module(data, features)
        known = engine.executor.was_validated(data)
        validate_module(info, features, lazy=lazy or known)
        self._setup(engine, info, validated=known or not lazy)

    def _setup(self, engine: Engine, info: ModuleInfo, *, validated: bool) -> None:
        self._engine = engine
        self.info = info
        # Bodies that `validate_body` need not look at again; None when that is all of them.
        self._checked: set[int] | None = None if validated else set()
        # Code that engines made from bodies, in their own form, shared by all instances.
        self.translations: dict[Any, Any] = {}

    @classmethod
    def from_file(cls, engine: Engine, path: str | os.PathLike[str]) -> Module:
        """A module from a file, binary or text.  Raises `OSError` too."""
        return cls(engine, Path(path).read_bytes())

    @classmethod
    def from_binary(cls, engine: Engine, wasm: bytes) -> Module:
        """A module from bytes that are never taken for text."""
        self = object.__new__(cls)
        self._load(engine, bytes(wasm))
        return self

    @classmethod
    def from_info(cls, engine: Engine, info: ModuleInfo, *, validated: bool) -> Module:
        """A module that was decoded and validated, its bodies if `validated`, by another layer."""
        self = object.__new__(cls)
        self._setup(engine, info, validated=validated)
        return self

    @staticmethod
    def validate(engine: Engine, wasm: Source) -> None:
        """Decode and validate, bodies included, and keep nothing.

        Raises `MalformedError` or `ValidationError`.
        """
        features = engine.config.features
        validate_module(decode_module(to_binary(wasm), features), features)

    def validate_bodies(self) -> None:
        """Validate now what `Config.lazy_validation` put off.  Raises `ValidationError`."""
        for index in range(len(self.info.bodies)):
            self.validate_body(index + self.info.imported_funcs)

    @property
    def is_validated(self) -> bool:
        """Whether all bodies were validated; for engines' use."""
        return self._checked is None

    def validate_body(self, index: int) -> None:
        """Validate the body of function `index`, unless that was done; for engines' use."""
        checked = self._checked
        if checked is not None and index not in checked:
            validate_function(self.info, index, self._engine.config.features)
            checked.add(index)

    @property
    def engine(self) -> Engine:
        """The engine that the module was made for."""
        return self._engine

    @property
    def name(self) -> str | None:
        """The name that the module gives itself in its name section."""
        return self.names.module

    @cached_property
    def names(self) -> NameSection:
        """The name section; empty where there is none or it is malformed."""
        return read_names(self.info)

    @cached_property
    def imports(self) -> list[ImportType]:
        """The imports, in the order that `Instance.new` wants them."""
        return [ImportType(i.module, i.name, i.type) for i in self.info.imports]

    @cached_property
    def exports(self) -> list[ExportType]:
        """The exports, in order."""
        return [
            ExportType(e.name, self._extern_type(e.kind, e.index))
            for e in self.info.exports.values()
        ]

    def get_export(self, name: str) -> ExternType | None:
        """The type of the export of that name, or None."""
        export = self.info.exports.get(name)
        return None if export is None else self._extern_type(export.kind, export.index)

    def get_export_index(self, name: str) -> ModuleExport | None:
        """A token for `Instance.get_module_export`, or None if there is no such export."""
        return ModuleExport(self, name) if name in self.info.exports else None

    def custom_sections(self, name: str) -> list[bytes]:
        """The contents of the custom sections of that name, in order."""
        data = self.info.data
        return [
            bytes(data[c.content.start : c.content.end])
            for c in self.info.customs
            if c.name == name
        ]

    def resources_required(self) -> ResourcesRequired:
        """How many memories and tables an instance defines, and how large they start."""
        memories = self.info.memories[self.info.imported_memories :]
        tables = self.info.tables[self.info.imported_tables :]
        return ResourcesRequired(
            len(memories),
            max((m.limits.minimum for m in memories), default=None),
            len(tables),
            max((t.limits.minimum for t in tables), default=None),
        )

    def _extern_type(self, kind: ExternKind, index: int) -> ExternType:
        info = self.info
        match kind:
            case ExternKind.FUNC:
                return ExternFunc(info.funcs[index])
            case ExternKind.TABLE:
                return info.tables[index]
            case ExternKind.MEMORY:
                return info.memories[index]
            case ExternKind.GLOBAL:
                return info.globals[index]
            case ExternKind.TAG:
                return info.tags[index]

    def serialize(self, *, complete: bool = True) -> bytes:
        """The module in a form that `deserialize` loads without validating or compiling it again.

        On the native engine this has the machine code of all functions, and compiles those first
        that have none: seconds for a large module.  Unless `complete`, it has the code that there
        is.  Functions are compiled as `Config.opt_level` says, and better where they were
        found to take time.  Bodies whose validation was put off are validated first.
        """
        self.validate_bodies()
        features = frozenset(f.value for f in self._features)
        code = self._engine.executor.packed(self, complete=complete)
        return _CONTAINER.pack(self.info.data, features, code)

    @property
    def _features(self) -> frozenset[Any]:
        return self._engine.config.features

    @classmethod
    def deserialize(cls, engine: Engine, data: bytes) -> Module:
        """Load what `serialize` gave.  Trust it like code: it is not validated, and it is run.

        Machine code that was made for something else (another processor, Python, LLVM, or a
        configuration that compiles differently) is left out, and made again when it is called.
        Raises `MalformedError` if the data is damaged, and `UsageError` if it was made by another
        version or with features that are off in `engine`.
        """
        features = engine.config.features
        wasm, code = _CONTAINER.unpack(data, frozenset(f.value for f in features))
        info = decode_module(wasm, features)
        validate_module(info, features, lazy=True)
        module = cls.from_info(engine, info, validated=True)
        engine.executor.adopt(module, code)
        return module

    @classmethod
    def deserialize_file(cls, engine: Engine, path: str | os.PathLike[str]) -> Module:
        """`deserialize` the content of a file."""
        return cls.deserialize(engine, Path(path).read_bytes())

    def __reduce__(self) -> tuple[object, ...]:
        return (Module.deserialize, (self._engine, self.serialize(complete=False)))

    def __repr__(self) -> str:
        return f"<Module {self.name or hex(id(self))}>"


def to_binary(wasm: Source) -> bytes:
    """The binary of a module given as binary or text.  Raises `MalformedError` for bad text."""
    if isinstance(wasm, str):
        return assemble(wasm)
    data = bytes(wasm)
    if data[:4] == b"\0asm" or not data:
        return data
    if serialized.is_serialized(data) or data[:1] == b"\0":
        return data
    return assemble(data)
