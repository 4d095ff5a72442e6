"""Whether an extern may be given for an import ("Matching" in the core spec).

Messages and the order of the checks are Wasmtime's.
"""

from __future__ import annotations

from typing import Final

from asyncwasm.core.types import (
    ExternFunc,
    ExternType,
    GlobalType,
    ImportType,
    IndexType,
    Limits,
    MemoryType,
    TableType,
    TagType,
)
from asyncwasm.errors import LinkError

_KINDS: Final[dict[type, tuple[str, str]]] = {
    ExternFunc: ("func", "function"),
    GlobalType: ("global", "global"),
    TableType: ("table", "table"),
    MemoryType: ("memory", "memory"),
    TagType: ("tag", "tag"),
}


def check_import(wanted: ImportType, found: ExternType) -> None:
    """Raise `LinkError` unless an extern of type `found` may be given for `wanted`."""
    reason = mismatch(wanted.type, found)
    if reason is not None:
        raise LinkError(f"incompatible import type for `{wanted.module}::{wanted.name}`: {reason}")


def mismatch(wanted: ExternType, found: ExternType) -> str | None:
    """Why `found` does not match `wanted`, or None if it does."""
    if type(wanted) is not type(found):
        return f"expected {_KINDS[type(wanted)][0]}, but found {_KINDS[type(found)][1]}"
    match wanted, found:
        case ExternFunc(expected), ExternFunc(given):
            if not given.matches(expected):
                return f"types incompatible: expected type `{expected}`, found type `{given}`"
        case GlobalType(), GlobalType():
            return _global(wanted, found)
        case TableType(), TableType():
            return _table(wanted, found)
        case MemoryType(), MemoryType():
            return _memory(wanted, found)
        case TagType(expected), TagType(given):
            if expected is not given:
                return "incompatible tag types"
    return None


def _global(wanted: GlobalType, found: GlobalType) -> str | None:
    invariant = wanted.mutable or found.mutable
    matches = (
        found.content == wanted.content if invariant else found.content.matches(wanted.content)
    )
    if not matches:
        return _types("global", wanted.content, found.content)
    if wanted.mutable != found.mutable:
        words = {True: "mutable", False: "immutable"}
        return _words("global", words[wanted.mutable], words[found.mutable])
    return None


def _table(wanted: TableType, found: TableType) -> str | None:
    if wanted.element is not found.element:
        return _types("table", wanted.element, found.element)
    return _index("table", wanted.index_type, found.index_type) or _limits(
        "table", wanted.limits, found.limits
    )


def _memory(wanted: MemoryType, found: MemoryType) -> str | None:
    if wanted.shared != found.shared:
        words = {True: "shared", False: "non-shared"}
        return _words("memory", words[wanted.shared], words[found.shared])
    reason = _index("memory", wanted.index_type, found.index_type) or _limits(
        "memory", wanted.limits, found.limits
    )
    if reason is None and wanted.page_size != found.page_size:
        return (
            f"memory types incompatible: expected a memory with a page size of "
            f"{wanted.page_size}, but received a memory with a page size of {found.page_size}"
        )
    return reason


def _types(what: str, wanted: object, found: object) -> str:
    return (
        f"{what} types incompatible: expected {what} of type `{wanted}`, "
        f"found {what} of type `{found}`"
    )


def _words(what: str, wanted: str, found: str) -> str:
    return f"{what} types incompatible: expected {wanted} {what}, found {found} {what}"


def _index(what: str, wanted: IndexType, found: IndexType) -> str | None:
    if wanted is found:
        return None
    words = {IndexType.I32: "32-bit", IndexType.I64: "64-bit"}
    return _words(what, words[wanted], words[found])


def _limits(what: str, wanted: Limits, found: Limits) -> str | None:
    if found.minimum >= wanted.minimum and (
        wanted.maximum is None or (found.maximum is not None and found.maximum <= wanted.maximum)
    ):
        return None

    def show(limits: Limits) -> str:
        most = "none" if limits.maximum is None else limits.maximum
        return f"(min: {limits.minimum}, max: {most})"

    return (
        f"{what} types incompatible: expected {what} limits {show(wanted)} "
        f"doesn't match provided {what} limits {show(found)}"
    )
