"""`Abi`: functions that lift and lower, compiled once for each type and set of options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn, TypeAlias

from asyncwasm.component.types import List, Tuple, ValType
from asyncwasm.component.values import Classes

from . import lift, lower
from .context import Context
from .explain import FAULTS, explain
from .layout import MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, Options, alignment, flatten, flatten_all
from .layout import size as size_of
from .lift import Lifter
from .lower import Lowerer
from .source import Body, Unit

Params: TypeAlias = tuple[tuple[str, ValType], ...]
Raw: TypeAlias = Any

LowerParams: TypeAlias = Callable[[Context, Sequence[Any]], tuple[Raw, ...]]
LiftParams: TypeAlias = Callable[[Context, Sequence[Raw]], list[Any]]
LowerResult: TypeAlias = Callable[[Context, Any, int | None], Raw]
LiftResult: TypeAlias = Callable[[Context, Raw], Any]
Load: TypeAlias = Callable[[Context, int], Any]
Store: TypeAlias = Callable[[Context, Any, int], None]
LoadList: TypeAlias = Callable[[Context, int, int], Any]


class Abi:
    """The compiled Canonical ABI of one component.

    Every method gives a function, the same for the same arguments, and generates it at the first
    call.  What such functions raise:

    * for a fault of a guest a `Trap` or a `CanonicalAbiError`;
    * for a Python value that does not fit `TypeError`, `OverflowError` or `ValueError`, which name
      the offending part by its path: `records[3].name: expected str, got int`;
    * `ResourceLimitError` when the context's fuel is used up;
    * and what the context's methods raise.
    """

    def __init__(self, classes: Classes) -> None:
        self.classes: Final = classes
        self._units: dict[Options, _Writers] = {}

    def lower_params(
        self, params: Params, options: Options, max_flat: int = MAX_FLAT_PARAMS
    ) -> LowerParams:
        """A function `(cx, values)` that gives the core arguments for one value per parameter.

        What does not fit into `max_flat` core values goes to memory from `realloc`.
        """
        return self._writers(options).lower_params(params, max_flat)

    def lift_params(
        self, params: Params, options: Options, max_flat: int = MAX_FLAT_PARAMS
    ) -> LiftParams:
        """A function `(cx, flat)` that gives the values of core arguments.

        Core arguments that follow those of the parameters are ignored.
        """
        return self._writers(options).lift_params(params, max_flat)

    def lower_result(
        self, ty: ValType | None, options: Options, max_flat: int = MAX_FLAT_RESULTS
    ) -> LowerResult:
        """A function `(cx, value, pointer)` that gives the core result, or None.

        What does not fit into `max_flat` core values, 0 or 1, is stored at `pointer`.
        """
        return self._writers(options).lower_result(ty, max_flat)

    def lift_result(self, ty: ValType | None, options: Options) -> LiftResult:
        """A function `(cx, raw)` that gives the value of what a core function returned."""
        return self._writers(options).lift_result(ty)

    def check_out(self, ty: ValType, options: Options) -> Callable[[Context, int], None]:
        """A function `(cx, pointer)` that checks where a result is to be stored."""
        return self._writers(options).check_out(ty)

    def load(self, ty: ValType, options: Options) -> Load:
        """A function `(cx, pointer)` that reads a value, aligned and in bounds."""
        return self._writers(options).load(ty)

    def store(self, ty: ValType, options: Options) -> Store:
        """A function `(cx, value, pointer)` that stores a value, aligned and in bounds."""
        return self._writers(options).store(ty)

    def load_list(self, ty: ValType, options: Options) -> LoadList:
        """A function `(cx, pointer, count)` that reads values, aligned and in bounds."""
        return self._writers(options).load_list(ty)

    def store_list(self, ty: ValType, options: Options) -> Store:
        """A function `(cx, values, pointer)` that stores values, aligned and in bounds."""
        return self._writers(options).store_list(ty)

    def _writers(self, options: Options) -> _Writers:
        found = self._units.get(options)
        if found is None:
            found = self._units.setdefault(options, _Writers(self.classes, options))
        return found


class _Writers:
    """`Abi` for one set of options."""

    def __init__(self, classes: Classes, options: Options) -> None:
        namespace = lift.namespace(options) | lower.namespace(options)
        namespace["FAULTS"] = FAULTS
        self.options = options
        self.unit = Unit(classes, options, namespace)
        self.lifter = Lifter(self.unit)
        self.lowerer = Lowerer(self.unit)

    def _count(self, types: tuple[ValType, ...]) -> int:
        return len(flatten_all(types, self.options.pointer_type))

    def _get(self, name: str) -> Callable[..., Any]:
        found: Callable[..., Any] = self.unit.get(name)
        return found

    def _explainer(self, params: Params) -> str:
        def explained(values: Sequence[Any], cause: Exception) -> NoReturn:
            explain(self.unit.classes, params, values, cause)

        return self.unit.shared(("explain", params), lambda: explained)

    def _checked(self, body: Body, params: Params, values: str, write: Callable[[], None]) -> None:
        """What `write` adds, with errors in the values explained."""
        with body.block("try:"):
            write()
        with body.block("except FAULTS as error:"):
            body.line(f"{self._explainer(params)}({values}, error)")

    def _check_pointer(self, body: Body, ty: ValType, unaligned: str, outside: str) -> None:
        align = alignment(ty, self.unit.pointer_size)
        if align > 1:
            with body.block(f"if p & {align - 1}:"):
                body.line(f"unaligned({unaligned!r})")
        size = size_of(ty, self.unit.pointer_size)
        with body.block(f"if p + {size} > cx.memory.size_bytes:"):
            body.line(f"outside({outside!r})")

    def lower_params(self, params: Params, max_flat: int) -> LowerParams:
        types = tuple(ty for _, ty in params)
        spilled = self._count(types) > max_flat

        def write(body: Body) -> None:
            if not params:
                body.line("return ()")
                return
            self._checked(body, params, "values", lambda: lines(body))

        def lines(body: Body) -> None:
            names = [f"a{i}" for i in range(len(params))]
            body.line(f"{''.join(f'{name}, ' for name in names)}= values")
            if spilled:
                everything = Tuple(types)
                size = size_of(everything, self.unit.pointer_size)
                align = alignment(everything, self.unit.pointer_size)
                body.line(f"p = realloc(cx, 0, 0, {align}, {size})")
                body.line("view = cx.memory.view")
                self.lowerer.store_parts(body, "p", types, names)
                body.line("return (p,)")
                return
            flat = [
                value
                for name, ty in zip(names, types, strict=True)
                for value in self.lowerer.lower_inline(body, ty, name)
            ]
            body.line(f"return ({''.join(f'{value}, ' for value in flat)})")

        key = ("lower params", params, spilled)
        return self._get(self.unit.function(key, ("cx", "values"), write))

    def lift_params(self, params: Params, max_flat: int) -> LiftParams:
        types = tuple(ty for _, ty in params)
        count = self._count(types)
        spilled = count > max_flat

        def write(body: Body) -> str:
            if spilled:
                everything = Tuple(types)
                body.line("p = flat[0]")
                self._check_pointer(
                    body, everything, "pointer not aligned", "pointer out of bounds"
                )
                body.line("view = cx.memory.view")
                return f"list({self.lifter.load_inline(body, everything, 'p', 0)})"
            names = [body.assign(f"flat[{i}]") for i in range(count)]
            flat = iter(names)
            return self.lifter.lift_list(body, types, flat)

        key = ("lift params", types, spilled)
        return self._get(self.unit.function(key, ("cx", "flat"), write))

    def lower_result(self, ty: ValType | None, max_flat: int) -> LowerResult:
        spilled = ty is not None and self._count((ty,)) > max_flat

        def write(body: Body) -> None:
            if ty is not None:
                self._checked(body, (("result", ty),), "(a,)", lambda: lines(body, ty))

        def lines(body: Body, ty: ValType) -> None:
            if spilled:
                self._check_pointer(body, ty, "pointer not aligned", "pointer out of bounds")
                body.line("view = cx.memory.view")
                self.lowerer.store_parts(body, "p", (ty,), ["a"])
                return
            [value] = self.lowerer.lower_inline(body, ty, "a")
            body.line(f"return {value}")

        key = ("lower result", ty, spilled)
        return self._get(self.unit.function(key, ("cx", "a", "p"), write))

    def lift_result(self, ty: ValType | None) -> LiftResult:
        def write(body: Body) -> str:
            if ty is None:
                return "None"
            if len(flatten(ty, self.options.pointer_type)) > MAX_FLAT_RESULTS:
                self._check_pointer(
                    body, ty, "return pointer not aligned", "pointer out of bounds of memory"
                )
                body.line("view = cx.memory.view")
                return self.lifter.load_inline(body, ty, "p", 0)
            return self.lifter.lift_inline(body, ty, iter(["p"]))

        key = ("lift result", ty)
        return self._get(self.unit.function(key, ("cx", "p"), write))

    def check_out(self, ty: ValType) -> Callable[[Context, int], None]:
        def write(body: Body) -> None:
            self._check_pointer(body, ty, "pointer not aligned", "pointer out of bounds")

        return self._get(self.unit.function(("check out", ty), ("cx", "p"), write))

    def load(self, ty: ValType) -> Load:
        def write(body: Body) -> str:
            body.line("view = cx.memory.view")
            return self.lifter.load_inline(body, ty, "p", 0)

        return self._get(self.unit.function(("load one", ty), ("cx", "p"), write))

    def store(self, ty: ValType) -> Store:
        def lines(body: Body) -> None:
            body.line("view = cx.memory.view")
            self.lowerer.store_parts(body, "p", (ty,), ["a"])

        def write(body: Body) -> None:
            self._checked(body, (("value", ty),), "(a,)", lambda: lines(body))

        return self._get(self.unit.function(("store one", ty), ("cx", "a", "p"), write))

    def load_list(self, ty: ValType) -> LoadList:
        return self._get(self.lifter.load_elements(ty))

    def store_list(self, ty: ValType) -> Store:
        store = self.lowerer.store_elements(ty)

        def write(body: Body) -> None:
            values = (("values", List(ty)),)
            self._checked(body, values, "(a,)", lambda: body.line(f"{store}(cx, a, p)"))

        return self._get(self.unit.function(("store many", ty), ("cx", "a", "p"), write))
