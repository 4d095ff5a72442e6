"""The specification's own implementation of the Canonical ABI, where it is at hand.

`ASYNCWASM_CANONICAL_ABI` is the path of `definitions.py`, from the directory
`design/mvp/canonical-abi` of the repository of the Component Model.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any

import pytest

from asyncwasm.component.syntax import StringEncoding
from asyncwasm.component.types import (
    Borrow,
    Enum,
    Flags,
    List,
    Map,
    Option,
    Own,
    Primitive,
    Record,
    Result,
    Tuple,
    ValType,
    Variant,
)

from .generated import Context

PATH = os.environ.get("ASYNCWASM_CANONICAL_ABI")

_PRIMITIVES = {
    Primitive.BOOL: "BoolType",
    Primitive.CHAR: "CharType",
    Primitive.STRING: "StringType",
}


def load() -> Any:
    """The module, made deterministic; skips the test where it is not to be had."""
    if not PATH:
        pytest.skip("ASYNCWASM_CANONICAL_ABI does not say where definitions.py is")
    name = "canonical_abi_definitions"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, PATH)
        assert spec is not None
        assert spec.loader is not None
        module: Any = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        module.DETERMINISTIC_PROFILE = True
        for hook in ("lift_own", "lift_borrow", "lower_own", "lower_borrow"):
            # Handles are bare numbers here: tables are not what is compared.
            setattr(module, hook, lambda cx, i, t: i)
    return sys.modules[name]


class Reference:
    """The reference, working on a memory of ours."""

    def __init__(self, cx: Context, encoding: StringEncoding, memory64: bool) -> None:
        self.module = load()
        module = self.module
        memory = module.MemInst(cx.memory.data, "i64" if memory64 else "i32")

        class LiftLowerContext(module.LiftLowerContext):
            def reallocate(self, *args: int) -> int:
                return cx.realloc(*args)

        options = module.LiftLowerOptions(encoding.value, memory)
        self.cx = LiftLowerContext(options, None)

    def type(self, ty: ValType | None) -> Any:
        """Its form of a type."""
        module = self.module
        match ty:
            case None:
                return None
            case Primitive():
                return getattr(module, _PRIMITIVES.get(ty, ty.value.upper() + "Type"))()
            case Record(fields):
                return module.RecordType([module.FieldType(n, self.type(t)) for n, t in fields])
            case Variant(cases):
                return module.VariantType([module.CaseType(n, self.type(t)) for n, t in cases])
            case List(element, length):
                return module.ListType(self.type(element), length)
            case Tuple(types):
                return module.TupleType([self.type(t) for t in types])
            case Flags(labels):
                return module.FlagsType(list(labels))
            case Enum(labels):
                return module.EnumType(list(labels))
            case Option(inner):
                return module.OptionType(self.type(inner))
            case Result(ok, error):
                return module.ResultType(self.type(ok), self.type(error))
            case Map(key, value):
                return module.MapType(self.type(key), self.type(value))
            case Own():
                return module.OwnType(None)
            case Borrow():
                return module.BorrowType(None)
        raise AssertionError(ty)

    def value(self, ty: Any, data: Any, source: StringEncoding) -> Any:
        """Its form of a value, from `plain` data."""

        def value(ty: Any, data: Any) -> Any:
            return self.value(ty, data, source)

        match ty:
            case Primitive.STRING:
                return _text(data, source)
            case Primitive.F32 | Primitive.F64:
                return float("nan") if data == "nan" else float.fromhex(data)
            case Primitive() | Own() | Borrow():
                return data
            case Record(fields):
                return {n: value(t, d) for (n, t), d in zip(fields, data, strict=True)}
            case Tuple(types):
                return {
                    str(i): value(t, d) for i, (t, d) in enumerate(zip(types, data, strict=True))
                }
            case Variant(cases):
                payload = dict(cases)[data[0]]
                return {data[0]: None if payload is None else value(payload, data[1])}
            case List(element, _):
                return [value(element, d) for d in data]
            case Flags(labels):
                return {label: label in data for label in labels}
            case Enum():
                return {data: None}
            case Option(inner):
                return {"none": None} if data is None else {"some": value(inner, data[0])}
            case Result(ok, error):
                payload = ok if data[0] == "ok" else error
                return {data[0]: None if payload is None else value(payload, data[1])}
            case Map(key, item):
                return [{"0": value(key, k), "1": value(item, d)} for k, d in data]
        raise AssertionError(ty)

    def plain(self, ty: Any, value: Any) -> Any:
        """`generated.plain` of its form of a value."""
        plain = self.plain
        match ty:
            case Primitive.STRING:
                return value[0]
            case Primitive.F32 | Primitive.F64:
                return "nan" if value != value else float(value).hex()
            case Primitive() | Own() | Borrow():
                return value
            case Record(fields):
                return [plain(t, value[n]) for n, t in fields]
            case Tuple(types):
                return [plain(t, value[str(i)]) for i, t in enumerate(types)]
            case Variant(cases):
                [(label, inner)] = value.items()
                payload = dict(cases)[label]
                return [label, None if payload is None else plain(payload, inner)]
            case List(element, _):
                return [plain(element, v) for v in value]
            case Flags(labels):
                return [label for label in labels if value[label]]
            case Enum():
                [label] = value
                return label
            case Option(inner):
                return None if "none" in value else [plain(inner, value["some"])]
            case Result(ok, error):
                [(label, inner)] = value.items()
                payload = ok if label == "ok" else error
                return [label, None if payload is None else plain(payload, inner)]
            case Map(key, item):
                pairs = [(plain(key, pair["0"]), plain(item, pair["1"])) for pair in value]
                # The first of equal keys has the place, the last the value.
                return [list(pair) for pair in dict(pairs).items()]
        raise AssertionError(ty)

    def flatten(self, ty: ValType) -> list[str]:
        """The core types of a value."""
        return list(self.module.flatten_type(self.type(ty), self.cx.opts))

    def lower(self, ty: ValType, data: Any, source: StringEncoding, max_flat: int) -> list[Any]:
        """The core values for `plain` data."""
        value = self.value(ty, data, source)
        return list(self.module.lower_flat_values(self.cx, max_flat, [value], [self.type(ty)]))

    def lift(self, ty: ValType, flat: list[Any], max_flat: int) -> Any:
        """`plain` data of the value of core values, or "trap"."""
        values = self.module.CoreValueIter(flat)
        try:
            [value] = self.module.lift_flat_values(self.cx, max_flat, values, [self.type(ty)])
        except self.module.Trap:
            return "trap"
        return self.plain(ty, value)


def _text(text: str, source: StringEncoding) -> tuple[str, str, int]:
    if source is StringEncoding.UTF8:
        return text, "utf8", len(text.encode())
    if source is StringEncoding.UTF16:
        return text, "utf16", len(text.encode("utf-16-le")) // 2
    raise AssertionError(source)
