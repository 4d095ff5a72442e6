"""The types of elements of streams and futures."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from ..types import Primitive, ValType, substitute

if TYPE_CHECKING:
    from ..runtime.instance import ComponentInstance


def resolve_element(instance: ComponentInstance, element: ValType | None) -> ValType | None:
    """An element type that means the same in every instance: resources are their identities."""
    if element is None or isinstance(element, Primitive):
        return element
    resources = instance.data.resources

    def identity(resource: Hashable) -> Hashable:
        return resources[resource].type if isinstance(resource, int) else resource

    return substitute(element, identity)
