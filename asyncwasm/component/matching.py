"""Whether what a linker has is what a component imports.  Messages are Wasmtime's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from asyncwasm.core.runtime.matching import mismatch
from asyncwasm.errors import LinkError

from .definitions import Definition, ModuleDef, ResourceDef
from .names import NameMap
from .runtime.host import HostFunc
from .types import (
    ComponentType,
    ExternType,
    FuncType,
    InstanceType,
    ModuleType,
    Path,
    ResourceId,
    TypeExport,
)

if TYPE_CHECKING:
    from .runtime.resources import ResourceType

_SYNC_FOR_ASYNC: Final = (
    "type mismatch with async: this import is declared `async func` in WIT, but was satisfied with "
    "a sync-style host function; use `func_new_concurrent` or `func_wrap_concurrent`"
)
_ASYNC_FOR_SYNC: Final = (
    "type mismatch with async: this import's WIT type is a plain (non-`async`) function, but was "
    "satisfied with `func_new_concurrent`/`func_wrap_concurrent`, which is only for `async "
    "func`-typed imports; use `func_new`/`func_wrap` (or `func_new_async`/`func_wrap_async`)"
)


def describe(ty: ExternType) -> str:
    """The kind of an import, as messages have it."""
    match ty:
        case FuncType():
            return "function"
        case InstanceType():
            return "instance"
        case ModuleType():
            return "module"
        case ComponentType():
            return "component"
        case TypeExport(ResourceId()):
            return "resource"
        case _:
            return "type"


def _found(definition: Definition) -> str:
    if isinstance(definition, NameMap):
        return "instance"
    if isinstance(definition, ModuleDef):
        return "module"
    return "function" if isinstance(definition, HostFunc) else "resource"


class Matcher:
    """One check of a component's imports.

    `found` is what each leaf of them is to be, `resources` what the resource types are.
    """

    def __init__(self) -> None:
        self.found: dict[Path, Any] = {}
        self.resources: dict[ResourceId, ResourceType] = {}

    def component(self, ty: ComponentType, given: NameMap[Definition]) -> None:
        """Check all imports, in order.  Raises `LinkError`."""
        for name, wanted in ty.imports.items():
            try:
                self._match((name,), wanted, given.find(name))
            except LinkError as error:
                raise LinkError(
                    f"component imports {describe(wanted)} `{name}`, but a matching "
                    f"implementation was not found in the linker: {error}"
                ) from None

    def _match(self, path: Path, wanted: ExternType, given: Definition | None) -> None:
        kind = describe(wanted)
        if isinstance(wanted, InstanceType):
            self._instance(path, wanted, given)
            return
        if kind == "type":
            return
        if given is None:
            raise LinkError(f"{kind} implementation is missing")
        if _found(given) != kind:
            raise LinkError(f"expected {kind} found {_found(given)}")
        self.found[path] = given
        match wanted, given:
            case FuncType(), HostFunc():
                check_func(wanted, given)
            case ModuleType(), ModuleDef():
                check_module(wanted, given)
            case TypeExport(ResourceId() as identity), ResourceDef():
                known = self.resources.setdefault(identity, given.type)
                if known != given.type:
                    raise LinkError("mismatched resource types")

    def _instance(self, path: Path, wanted: InstanceType, given: Definition | None) -> None:
        if given is None:
            given = NameMap()
        if not isinstance(given, NameMap):
            raise LinkError(f"expected instance found {_found(given)}")
        for name, item in wanted.exports.items():
            try:
                self._match((*path, name), item, given.find(name))
            except LinkError as error:
                raise LinkError(f"instance export `{name}` has the wrong type: {error}") from None


def check_func(wanted: FuncType, given: HostFunc) -> None:
    """Raise `LinkError` unless a host function may stand for an import."""
    if wanted.is_async and given.kind != "concurrent":
        raise LinkError(_SYNC_FOR_ASYNC)
    if not wanted.is_async and given.kind == "concurrent":
        raise LinkError(_ASYNC_FOR_SYNC)
    arity = given.arity()
    if arity is None:
        return
    least, most = arity
    count = len(wanted.params)
    if count < least or (most is not None and count > most):
        raise LinkError(
            f"type mismatch with parameters: expected {count}-tuple, "
            f"found {least if count < least else most}-tuple"
        )


def check_module(wanted: ModuleType, given: ModuleDef) -> None:
    """Raise `LinkError` unless a module may stand for an import."""
    module = given.module
    for name, ty in wanted.exports.items():
        found = module.get_export(name)
        if found is None:
            raise LinkError(f"module export `{name}` not defined")
        reason = mismatch(ty, found)
        if reason is not None:
            raise LinkError(f"module export `{name}` has the wrong type: {reason}")
    for needed in module.imports:
        declared = wanted.imports.get((needed.module, needed.name))
        if declared is None:
            raise LinkError(f"module import `{needed.module}::{needed.name}` not defined")
        reason = mismatch(needed.type, declared)
        if reason is not None:
            raise LinkError(
                f"module import `{needed.module}::{needed.name}` has the wrong type: {reason}"
            )
