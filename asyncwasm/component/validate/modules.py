"""Core modules in components: their validation, their types and their instantiation."""

from __future__ import annotations

from collections.abc import Sequence

from asyncwasm.core.binary.decoder import decode_module
from asyncwasm.core.isa.features import Features
from asyncwasm.core.module import ExternKind, ModuleInfo
from asyncwasm.core.types import ExternFunc
from asyncwasm.core.types import ExternType as CoreExternType
from asyncwasm.core.validate import validate_extern_type, validate_module
from asyncwasm.errors import MalformedError, ValidationError

from ..binary.core_types import shifted
from ..syntax import CoreModuleDef
from ..types import ModuleType
from .core_match import core_mismatch


def read_module(
    data: bytes, definition: CoreModuleDef, features: Features, *, lazy: bool
) -> ModuleInfo:
    """Decode and validate an embedded module.

    Raises `MalformedError` and `ValidationError`, with offsets in the component.
    """
    start, end = definition.content.start, definition.content.end
    # The eight bytes that say what it is may be those of a component.
    if data[start : start + 4] == b"\0asm" and data[start + 6 : min(end, start + 8)] == b"\1\0":
        raise MalformedError("expected a version header for a module", offset=start + 4)
    try:
        info = decode_module(data[start:end], features)
        validate_module(info, features, lazy=lazy)
    except (MalformedError, ValidationError) as error:
        raise shifted(error, start, definition.offset) from None
    return info


def module_type(info: ModuleInfo, offset: int) -> ModuleType:
    """The type of a module.  Raises `ValidationError` if it imports something twice."""
    imports: dict[tuple[str, str], CoreExternType] = {}
    for item in info.imports:
        key = (item.module, item.name)
        if key in imports:
            raise ValidationError(
                f"duplicate import name `{item.module}:{item.name}`", offset=offset
            )
        imports[key] = item.type
    spaces: dict[ExternKind, Sequence[CoreExternType]] = {
        ExternKind.FUNC: [ExternFunc(type) for type in info.funcs],
        ExternKind.TABLE: info.tables,
        ExternKind.MEMORY: info.memories,
        ExternKind.GLOBAL: info.globals,
        ExternKind.TAG: info.tags,
    }
    return ModuleType(imports, {e.name: spaces[e.kind][e.index] for e in info.exports.values()})


def check_module_type(type: ModuleType, offset: int) -> None:
    """Check the types in a module's type.  Raises `ValidationError`."""
    try:
        for externs in (type.imports, type.exports):
            for extern in externs.values():
                validate_extern_type(extern)
    except ValidationError as error:
        raise ValidationError(error.reason, offset=offset) from None


def instantiate_module(
    type: ModuleType, args: dict[str, dict[str, CoreExternType]], offset: int
) -> dict[str, CoreExternType]:
    """The exports of an instance of a module.  Raises `ValidationError`."""
    for (module, name), wanted in type.imports.items():
        exports = args.get(module)
        if exports is None:
            raise ValidationError(
                f"missing module instantiation argument named `{module}`", offset=offset
            )
        given = exports.get(name)
        where = f"module instantiation argument `{module}`"
        if given is None:
            raise ValidationError(f"{where} does not export an item named `{name}`", offset=offset)
        why = core_mismatch(given, wanted)
        if why is not None:
            raise ValidationError(
                f"type mismatch for export `{name}` of {where}: {why}", offset=offset
            )
    return dict(type.exports)
