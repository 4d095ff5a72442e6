"""Tags from the host's side."""

from __future__ import annotations

import pytest

from asyncwasm.core.runtime.engine import Engine
from asyncwasm.core.runtime.store import Store
from asyncwasm.core.runtime.tag import Tag
from asyncwasm.core.types import I32, DefType, FuncType, TagType
from asyncwasm.errors import WrongStoreError

TYPE = TagType(DefType.of(FuncType((I32,))))


def test_tags_are_told_apart_by_identity():
    store = Store(Engine())
    one, two = Tag.new(store, TYPE), Tag.new(store, TYPE)
    assert one.ty(store) == two.ty(store) == TYPE
    assert Tag.eq(one, one, store)
    assert not Tag.eq(one, two, store)


def test_another_store_is_refused():
    store = Store(Engine())
    other = Store(store.engine)
    tag = Tag.new(store, TYPE)
    for use in (
        lambda: tag.ty(other),
        lambda: Tag.eq(tag, tag, other),
        lambda: Tag.eq(Tag.new(other, TYPE), tag, other),
    ):
        with pytest.raises(WrongStoreError, match=r"^object used with the wrong store$"):
            use()
