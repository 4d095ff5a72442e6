"""Classes for the types of a component, by the names that it gives the types."""

from __future__ import annotations

import pytest

from asyncwasm.component.types import Enum, Primitive, Record
from asyncwasm.component.values import Classes


def test_classes_by_name() -> None:
    classes = Classes()
    point = Record((("x", Primitive.U8),))
    classes.name(Primitive.U8, "byte")
    classes.name(point, "point")
    classes.name(Enum(("a",)), "letter")
    assert classes["point"] is classes.of(point)
    assert classes["letter"].A.value == "a"
    for name in ("byte", "line"):
        with pytest.raises(KeyError):
            classes[name]
