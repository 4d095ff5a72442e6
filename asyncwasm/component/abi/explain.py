"""Why a Python value cannot be lowered, and which part of it.

Generated code only notices that something is wrong.  This goes through the values once more, by
their types, and raises an error that names the offending part by its path.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from asyncwasm.component.types import (
    Enum,
    Flags,
    List,
    Map,
    Option,
    Primitive,
    Record,
    Result,
    Tuple,
    ValType,
    Variant,
)
from asyncwasm.component.values import Classes, Err, FlagsValue, Ok, Some

from . import accept
from .layout import MAX_BYTE_LENGTH, size
from .lower import RANGES

# What lowering raises where a value does not fit.
FAULTS = (TypeError, ValueError, ArithmeticError, AttributeError, LookupError, accept.struct_error)


def explain(
    classes: Classes,
    params: tuple[tuple[str, ValType], ...],
    values: Iterable[Any],
    cause: Exception,
) -> NoReturn:
    """Raise the error for the first of `values` that is not of its type.

    `cause` is what lowering raised, and is raised again if nothing is found: it may have come from
    `realloc`, or the value from code that does not give the same twice.
    """
    for (name, ty), value in zip(params, values, strict=False):
        try:
            _Checker(classes, cause).check(ty, value, name)
        except _Wrong as wrong:
            raise wrong.error from None
    raise cause


def check(classes: Classes, ty: ValType, value: Any, name: str) -> None:
    """Raise the error for `value`, called `name`, if it is not of type `ty`."""
    try:
        _Checker(classes).check(ty, value, name)
    except _Wrong as wrong:
        raise wrong.error from None


class HandleError(TypeError):
    """What contexts raise for a `value` that cannot be lowered to a handle of some type."""

    def __init__(self, message: str, value: object) -> None:
        super().__init__(message)
        self.value = value


class _Wrong(Exception):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def _expected(path: str, what: str, value: object) -> _Wrong:
    return _Wrong(TypeError(f"{path}: expected {what}, got {type(value).__name__}"))


class _Checker:
    def __init__(self, classes: Classes, cause: Exception | None = None) -> None:
        self._classes = classes
        self._cause = cause

    def check(self, ty: ValType, value: Any, path: str) -> None:
        """Raise `_Wrong` unless `value` can be lowered."""
        match ty:
            case Primitive.STRING | Primitive.CHAR:
                self._text(ty, value, path)
            case Primitive():
                self._number(ty, value, path)
            case List():
                self._list(ty, value, path)
            case Map():
                if not isinstance(value, Mapping):
                    raise _expected(path, "dict", value)
                for key, item in value.items():
                    self.check(ty.key, key, f"{path} key {key!r}")
                    self.check(ty.value, item, f"{path}[{key!r}]")
            case Record():
                self._record(ty, value, path)
            case Tuple(types):
                elements = self._sequence(value, path, "tuple")
                if len(elements) != len(types):
                    message = f"{path}: expected {len(types)} elements, got {len(elements)}"
                    raise _Wrong(ValueError(message))
                for i, (part, element) in enumerate(zip(types, elements, strict=True)):
                    self.check(part, element, f"{path}[{i}]")
            case Variant():
                self._variant(ty, value, path)
            case Enum():
                label = value.value if isinstance(value, enum.Enum) else value
                if not isinstance(label, str):
                    raise _expected(path, f"{self._name(ty)} or str", value)
                if label not in ty.labels:
                    raise _Wrong(ValueError(f"{path}: enum variant name `{label}` is not valid"))
            case Flags():
                self._flags(ty, value, path)
            case Option(inner):
                if isinstance(value, Some):
                    self.check(inner, value.value, f"{path}.value")
                elif value is not None:
                    if isinstance(inner, Option):
                        raise _expected(path, "None or Some", value)
                    self.check(inner, value, path)
            case Result():
                self._result(ty, value, path)
            case _:
                # Handles are the business of the context, which says which one it was.
                if isinstance(self._cause, HandleError) and self._cause.value is value:
                    raise _Wrong(TypeError(f"{path}: {self._cause}"))

    def _name(self, ty: ValType) -> str:
        return str(self._classes.of(ty).__name__)

    def _text(self, ty: Primitive, value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise _expected(path, "str", value)
        if ty is Primitive.CHAR and len(value) != 1:
            message = f"{path}: expected one character, got {len(value)}"
            raise _Wrong(ValueError(message))
        try:
            encoded = len(value.encode())
        except UnicodeEncodeError as error:
            message = f"{path}: surrogate {value[error.start]!r} at index {error.start}"
            raise _Wrong(ValueError(message)) from None
        if encoded > MAX_BYTE_LENGTH:
            message = f"{path}: string length of {encoded} too large to copy into wasm"
            raise _Wrong(ValueError(message))

    def _number(self, ty: Primitive, value: Any, path: str) -> None:
        if ty is Primitive.BOOL:
            if not isinstance(value, bool):
                raise _expected(path, "bool", value)
        elif ty in (Primitive.F32, Primitive.F64):
            try:
                accept.as_float(value)
            except OverflowError:
                raise _Wrong(OverflowError(f"{path}: integer too large for {ty}")) from None
            except (TypeError, ValueError):
                raise _expected(path, "float", value) from None
        elif ty in RANGES:
            try:
                number = accept.as_int(value)
            except TypeError:
                raise _expected(path, "int", value) from None
            low, high = RANGES[ty]
            if not low <= number <= high:
                raise _Wrong(OverflowError(f"{path}: {number} is out of range for {ty}"))

    def _sequence(self, value: Any, path: str, what: str) -> Any:
        try:
            return accept.as_sequence(value)
        except TypeError:
            raise _expected(path, what, value) from None

    def _list(self, ty: List, value: Any, path: str) -> None:
        is_bytes = ty.element is Primitive.U8 and ty.length is None
        elements = self._sequence(value, path, "bytes" if is_bytes else "list")
        count = len(elements)
        if ty.length is not None and count != ty.length:
            raise _Wrong(ValueError(f"{path}: expected {ty.length} elements, got {count}"))
        if count * size(ty.element, 4) > MAX_BYTE_LENGTH:
            message = f"{path}: list length of {count} too large to copy into wasm"
            raise _Wrong(ValueError(message))
        for i, element in enumerate(elements):
            self.check(ty.element, element, f"{path}[{i}]")

    def _record(self, ty: Record, value: Any, path: str) -> None:
        names: dict[str, str] = self._classes.of(ty).wit_fields
        if isinstance(value, Mapping):
            known = {*names, *names.values()}
            for key in value:
                if key not in known:
                    raise _Wrong(ValueError(f"{path}: unexpected field `{key}`"))
        for i, ((label, part), name) in enumerate(zip(ty.fields, names.values(), strict=True)):
            if isinstance(value, Mapping):
                missing = label not in value and name not in value
                item = None if missing else value[label if label in value else name]
            else:
                missing = not hasattr(value, name)
                item = getattr(value, name, None)
                if missing and i == 0:
                    raise _expected(path, self._name(ty), value)
            if missing:
                raise _Wrong(TypeError(f"{path}: missing field `{label}`"))
            self.check(part, item, f"{path}.{label}")
        if isinstance(value, Mapping) and len(value) != len(names):
            raise _Wrong(ValueError(f"{path}: expected {len(names)} fields, got {len(value)}"))

    def _variant(self, ty: Variant, value: Any, path: str) -> None:
        label = value if isinstance(value, str) else getattr(value, "case", None)
        if not isinstance(label, str):
            raise _expected(path, self._name(ty), value)
        cases = dict(ty.cases)
        if label not in cases:
            raise _Wrong(ValueError(f"{path}: unknown variant case: `{label}`"))
        payload = cases[label]
        if payload is None:
            return
        if isinstance(value, str) or not hasattr(value, "value"):
            raise _Wrong(TypeError(f"{path}: expected a payload for case `{label}`"))
        self.check(payload, value.value, f"{path}.value")

    def _flags(self, ty: Flags, value: Any, path: str) -> None:
        labels = value.labels if isinstance(value, FlagsValue) else value
        if isinstance(labels, str | Mapping) or not isinstance(labels, Iterable):
            raise _expected(path, f"{self._name(ty)} or set", value)
        for label in labels:
            if label not in ty.labels:
                raise _Wrong(ValueError(f"{path}: unknown flag: `{label}`"))

    def _result(self, ty: Result, value: Any, path: str) -> None:
        if not isinstance(value, Ok | Err):
            raise _expected(path, "Ok or Err", value)
        name, payload = ("ok", ty.ok) if isinstance(value, Ok) else ("err", ty.error)
        if payload is not None:
            self.check(payload, value.value, f"{path}.value")
        elif value.value is not None:
            message = f"{path}: payload provided to `{name}` but not expected"
            raise _Wrong(TypeError(message))
