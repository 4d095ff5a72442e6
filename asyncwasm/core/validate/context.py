"""What the rules of validation look up: the index spaces of one module ("Contexts")."""

from __future__ import annotations

from typing import Final

from asyncwasm.core.isa.features import Features
from asyncwasm.core.module import ModuleInfo
from asyncwasm.core.types import (
    ArrayType,
    DefType,
    FuncType,
    GlobalType,
    MemoryType,
    NumType,
    RefType,
    StructType,
    TableType,
    ValType,
)
from asyncwasm.errors import MalformedError, ValidationError

# How many parameters a function has, their types, and its results' types.
Signature = tuple[int, list[ValType], list[ValType]]


class ModuleContext:
    """One module's index spaces, with the features that are on.

    Lookups raise `ValidationError` for an index that names nothing, without an offset: who
    validates an expression knows where it stands.  `globals_visible` is how many globals a
    constant expression may name at this time.  Cheap to make: nothing is computed before it
    is asked for.
    """

    __slots__ = (
        "_defaults",
        "_fields",
        "features",
        "globals_visible",
        "info",
        "matches",
        "signatures",
        "types",
    )

    def __init__(self, info: ModuleInfo, features: Features) -> None:
        self.info: Final = info
        self.features: Final = features
        self.types: Final = info.types
        self.globals_visible = len(info.globals)
        # Pairs of an operand's type and one that it matches, as far as they were asked for.
        self.matches: Final[set[tuple[object, ValType]]] = set()
        self.signatures: Final[dict[int, Signature]] = {}
        self._fields: Final[dict[int, tuple[ValType, ...]]] = {}
        self._defaults: Final[dict[int, bool]] = {}

    def defined(self, index: int) -> DefType:
        if index >= len(self.types):
            raise ValidationError(f"unknown type {index}")
        return self.types[index]

    def func_type(self, index: int) -> FuncType:
        comp = self.defined(index).comp
        if not isinstance(comp, FuncType):
            raise ValidationError(f"type mismatch: type {index} is not a function type")
        return comp

    def struct_type(self, index: int) -> StructType:
        comp = self.defined(index).comp
        if not isinstance(comp, StructType):
            raise ValidationError(f"type mismatch: type {index} is not a struct type")
        return comp

    def array_type(self, index: int) -> ArrayType:
        comp = self.defined(index).comp
        if not isinstance(comp, ArrayType):
            raise ValidationError(f"type mismatch: type {index} is not an array type")
        return comp

    def field_types(self, index: int) -> tuple[ValType, ...]:
        """The unpacked types of a struct's fields.

        Kept, because an instruction of four bytes may ask for ten thousand of them.
        """
        found = self._fields.get(index)
        if found is None:
            struct = self.struct_type(index)
            found = self._fields[index] = tuple(field.unpacked for field in struct.fields)
        return found

    def has_default_fields(self, index: int) -> bool:
        """Whether all fields of a struct have a default value.  Kept, for the same reason."""
        found = self._defaults.get(index)
        if found is None:
            fields = self.field_types(index)
            found = self._defaults[index] = all(ty.is_defaultable for ty in fields)
        return found

    def func(self, index: int) -> DefType:
        if index >= len(self.info.funcs):
            raise ValidationError(f"unknown function {index}")
        return self.info.funcs[index]

    def signature(self, index: int) -> Signature | None:
        """A function's signature in `signatures`, or None if there is no such function.

        Functions with so many results that the operand stack is to be watched have none either.
        """
        if not 0 <= index < len(self.info.funcs):
            return None
        ty = self.info.funcs[index].func
        if len(ty.results) > 1:
            return None
        return self.signatures.setdefault(
            index, (len(ty.params), list(ty.params), list(ty.results))
        )

    def table(self, index: int) -> TableType:
        if index >= len(self.info.tables):
            raise ValidationError(f"unknown table {index}")
        return self.info.tables[index]

    def table_address(self, index: int) -> NumType:
        return self.table(index).index_type.value_type

    def memory(self, index: int) -> MemoryType:
        if index >= len(self.info.memories):
            raise ValidationError(f"unknown memory {index}")
        return self.info.memories[index]

    def memory_address(self, index: int) -> NumType:
        return self.memory(index).index_type.value_type

    def global_(self, index: int) -> GlobalType:
        if index >= len(self.info.globals):
            raise ValidationError(f"unknown global {index}")
        return self.info.globals[index]

    def tag(self, index: int) -> FuncType:
        if index >= len(self.info.tags):
            raise ValidationError(f"unknown tag {index}")
        return self.info.tags[index].type.func

    def elem(self, index: int) -> RefType:
        if index >= len(self.info.elems):
            raise ValidationError(f"unknown elem segment {index}")
        return self.info.elems[index].type

    def data(self, index: int) -> None:
        """Check that a data segment may be named: their number is known before the code."""
        if self.info.data_count is None:
            raise MalformedError("data count section required")
        if index >= self.info.data_count:
            raise ValidationError(f"unknown data segment {index}")

    def describe(self, ty: ValType) -> str:
        """A type as text, with indices for defined types, whose structure may be huge."""
        if isinstance(ty, RefType) and isinstance(ty.heap, DefType):
            index = self.types.index(ty.heap) if ty.heap in self.types else "?"
            return f"(ref {'null ' if ty.nullable else ''}{index})"
        return str(ty)
