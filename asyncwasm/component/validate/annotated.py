"""Names with annotations: what functions they may name.

See the notes on imports and exports in `Binary.md` of the Component Model.
"""

from __future__ import annotations

from asyncwasm.errors import ValidationError

from ..types import Borrow, ResourceId
from .items import Entity, Func, Mark, TypeItem
from .names import Form, ParsedName


class AnnotatedNames:
    """The resources that imports, or exports, of one scope name, and functions' names by them."""

    __slots__ = ("_by_label", "_by_mark", "_kind")

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._by_mark: dict[Mark, str] = {}
        self._by_label: set[str] = set()

    def add(self, name: str, parsed: ParsedName, entity: Entity, offset: int) -> None:
        """Note a resource, or check an annotated name of a function.

        Raises `ValidationError`.
        """
        if (
            parsed.form is Form.LABEL
            and isinstance(entity, TypeItem)
            and isinstance(entity.what, ResourceId)
        ):
            self._by_mark[entity.mark] = name
            self._by_label.add(name.lower())
        if parsed.resource is None or not isinstance(entity, Func):
            return
        try:
            self._check(parsed.form, parsed.resource, entity)
        except ValueError as error:
            raise ValidationError(f"{self._kind} `{name}`: {error}", offset=offset) from None

    def _check(self, form: Form, resource: str, func: Func) -> None:
        if form is Form.STATIC:
            if resource.lower() not in self._by_label:
                raise ValueError("static resource name is not known in this context")
        elif form is Form.CONSTRUCTOR:
            self._check_resource(_constructed(func), resource)
        else:
            self._check_resource(_self_of(func), resource)

    def _check_resource(self, mark: Mark, resource: str) -> None:
        label = self._by_mark.get(mark)
        if label is None:
            raise ValueError("resource used in function does not have a name in this context")
        if label.lower() != resource.lower():
            raise ValueError(f"function does not match expected resource name `{label}`")


def _constructed(func: Func) -> Mark:
    result = func.result
    if result is None:
        raise ValueError("function should return one value")
    if result.handle is None or isinstance(result.type, Borrow):
        raise ValueError("function should return `(own $T)` or `(result (own $T))`")
    return result.handle


def _self_of(func: Func) -> Mark:
    if not func.params:
        raise ValueError("function should have at least one argument")
    name = func.type.params[0][0]
    if name != "self":
        raise ValueError(f"function should have a first argument called `self`, found `{name}`")
    receiver = func.params[0]
    if not isinstance(receiver.type, Borrow) or receiver.handle is None:
        raise ValueError("function should take a first argument of `(borrow $T)`")
    return receiver.handle
