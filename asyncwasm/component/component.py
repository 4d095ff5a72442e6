"""`Component`: a compiled component, independent of any store."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final, final

from asyncwasm.core import ResourcesRequired
from asyncwasm.core.runtime.serialized import Container
from asyncwasm.errors import MalformedError

from .abi import Abi
from .binary import decode_component
from .compile import compile_component
from .compile.program import ImportModule, InstanceItem, InstantiateStatic
from .index import ComponentExportIndex
from .introspection import component_type, item_type
from .names import find_name
from .text import assemble_component
from .validate import validate_component
from .values import Classes

if TYPE_CHECKING:
    from asyncwasm.core import Engine

    from .compile.program import Program
    from .scope import Scope
    from .types import ComponentType, ExternType

Source = bytes | bytearray | memoryview | str

_CONTAINER: Final = Container("component")
_MODULE: Final = b"\0asm\x01\0\0\0"


@final
class Component:
    """A component, decoded, validated and compiled.

    Immutable; may be shared between threads and pickled.  `wasm` is a binary, or text in the text
    format (a `str`, or bytes that do not start with the binary magic).  Raises `MalformedError` or
    `ValidationError` with the place, and `ResourceLimitError` for a component that instantiates
    nested ones without measure.  With `Config.lazy_validation` function bodies of core modules are
    validated before their first call.  Follows Wasmtime's `Component`.
    """

    engine: Engine
    program: Program
    scope: Scope
    abi: Abi
    classes: Classes

    def __init__(self, engine: Engine, wasm: Source) -> None:
        self._load(engine, to_binary(wasm))

    def _load(self, engine: Engine, data: bytes, *, trusted: bool = False) -> None:
        self.engine = engine
        self.data = data
        self.scope = _scope(engine, data, lazy=trusted or engine.config.lazy_validation)
        self.program = compile_component(engine, self.scope)
        self.classes = Classes()
        for name, ty in self.program.type_names:
            self.classes.name(ty, name)
        self.abi = Abi(self.classes)

    @cached_property
    def types(self) -> SimpleNamespace:
        """The Python classes for the types that imports and exports give names to.

        By the name of the class: `component.types.HttpRequest` for `http-request`.
        """
        classes: dict[str, type] = {}
        for _, found in self.classes:
            classes.setdefault(found.__name__, found)
        return SimpleNamespace(**classes)

    @classmethod
    def from_file(cls, engine: Engine, path: str | os.PathLike[str]) -> Component:
        """A component from a file, binary or text.  Raises `OSError` too."""
        return cls(engine, Path(path).read_bytes())

    @classmethod
    def from_binary(cls, engine: Engine, wasm: bytes) -> Component:
        """A component from bytes that are never taken for text."""
        self = object.__new__(cls)
        self._load(engine, bytes(wasm))
        return self

    @staticmethod
    def validate(engine: Engine, wasm: Source) -> None:
        """Decode and validate, core modules included, and keep nothing.

        Raises `MalformedError` or `ValidationError`.
        """
        _scope(engine, to_binary(wasm), lazy=False)

    @cached_property
    def _type(self) -> ComponentType:
        return component_type(self.scope.type)

    def component_type(self) -> ComponentType:
        """What it imports and exports.

        Its resource types are `ResourceType`s that stand for those of no instance in particular.
        """
        return self._type

    def export_index(
        self, instance: ComponentExportIndex | None, name: str
    ) -> tuple[ExternType, ComponentExportIndex] | None:
        """What is exported as `name` and a token for it, for any instance of this component.

        `instance` is the token of an exported instance, to look below it.  None if there is no
        such export.  A version that is compatible with that of `name` will do.
        """
        index = self.get_export_index(instance, name)
        if index is None:
            return None
        return item_type(self._type, index.path), index

    def get_export(
        self, instance: ComponentExportIndex | None, name: str
    ) -> tuple[ExternType, ComponentExportIndex] | None:
        """`export_index`, by its newer name."""
        return self.export_index(instance, name)

    def get_export_index(
        self, instance: ComponentExportIndex | None, name: str
    ) -> ComponentExportIndex | None:
        """The token of `export_index` alone."""
        exports = self.program.exports
        path: tuple[str, ...] = ()
        if instance is not None:
            if instance.component is not self or not isinstance(instance.item, InstanceItem):
                return None
            exports, path = instance.item.exports, instance.path
        found = find_name({key: (key, item) for key, item in exports.items()}, name)
        if found is None:
            return None
        return ComponentExportIndex(self, (*path, found[0]), found[1])

    def resources_required(self) -> ResourcesRequired | None:
        """How many memories and tables an instance defines, and how large they start.

        None if the component imports modules, whose needs are not known.
        """
        program = self.program
        if any(isinstance(i, ImportModule) for i in program.imports):
            return None
        every = [
            program.modules[i.module].resources_required()
            for i in program.initializers
            if isinstance(i, InstantiateStatic)
        ]
        memories = [e.max_initial_memory_size for e in every]
        tables = [e.max_initial_table_size for e in every]
        return ResourcesRequired(
            sum(e.num_memories for e in every),
            max((m for m in memories if m is not None), default=None),
            sum(e.num_tables for e in every),
            max((t for t in tables if t is not None), default=None),
        )

    def serialize(self, *, complete: bool = True) -> bytes:
        """The component in a form for `deserialize`, with machine code as in `Module.serialize`."""
        features = frozenset(f.value for f in self.engine.config.features)
        code = []
        for module in self.program.modules:
            module.validate_bodies()
            code.append(self.engine.executor.packed(module, complete=complete))
        sizes = " ".join(str(len(each)) for each in code).encode()
        packed = b"".join([sizes, b"\n", *code]) if any(code) else b""
        return _CONTAINER.pack(self.data, features, packed)

    @classmethod
    def deserialize(cls, engine: Engine, data: bytes) -> Component:
        """Load what `serialize` gave, to be trusted like code; see `Module.deserialize`.

        Raises `MalformedError` if it is damaged, and `UsageError` if it was made by another
        version or with features that are off in `engine`.
        """
        features = frozenset(f.value for f in engine.config.features)
        wasm, packed = _CONTAINER.unpack(data, features)
        self = object.__new__(cls)
        self._load(engine, wasm, trusted=True)
        line, _, code = packed.partition(b"\n")
        at = 0
        for module, size in zip(self.program.modules, map(int, line.split()), strict=False):
            engine.executor.adopt(module, code[at : at + size])
            at += size
        return self

    @classmethod
    def deserialize_file(cls, engine: Engine, path: str | os.PathLike[str]) -> Component:
        """`deserialize` the content of a file."""
        return cls.deserialize(engine, Path(path).read_bytes())

    def __reduce__(self) -> tuple[object, ...]:
        return (Component.deserialize, (self.engine, self.serialize(complete=False)))

    def __repr__(self) -> str:
        return f"<Component {id(self):#x}>"


def _scope(engine: Engine, data: bytes, *, lazy: bool) -> Scope:
    features = engine.config.features
    return validate_component(decode_component(data, features), features, lazy=lazy)


def to_binary(wasm: Source) -> bytes:
    """The binary of a component given as binary or text.  Raises `MalformedError` for bad text."""
    if isinstance(wasm, str):
        return assemble_component(wasm)
    data = bytes(wasm)
    if data[:8] == _MODULE:
        raise MalformedError("attempted to parse a wasm module with a component parser", offset=0)
    if data[:1] == b"\0" or not data:
        return data
    try:
        return assemble_component(data.decode())
    except UnicodeDecodeError as error:
        raise MalformedError("malformed UTF-8 encoding", offset=error.start) from None
