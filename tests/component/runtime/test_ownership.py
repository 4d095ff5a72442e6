"""Who owns a guest's resources, after any sequence of giving, lending and dropping."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncwasm import CanonicalAbiError, Config, Engine, Store
from asyncwasm.component import Component, Linker
from asyncwasm.component.runtime.state import state_of

from .test_resources import COUNTER

OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["make", "get", "take", "add", "both", "drop", "bad"]),
        st.integers(0, 20),
        st.integers(0, 20),
    ),
    max_size=30,
)


@pytest.fixture(scope="module", params=["interpreter", "native"])
def pre(request):
    engine = Engine(Config(strategy=request.param))
    return Linker(engine).instantiate_pre(Component(engine, COUNTER))


@settings(max_examples=60)
@given(OPERATIONS)
def test_every_resource_is_dropped_once(pre, operations):
    store = Store(pre.component.engine)
    instance = pre.instantiate(store)

    def call(name, *args):
        return instance.get_func(store, name).call(store, *args)

    held, gone, dropped = [], [], 0
    for operation, first, second in operations:
        one = held[first % len(held)] if held else None
        other = held[second % len(held)] if held else None
        if operation == "make":
            held.append((call("make", first), first))
        elif one is None:
            continue
        elif operation == "get":
            assert call("get", one[0]) == one[1]
        elif operation == "add":
            assert call("add", one[0], other[0]) == one[1] + other[1]
        elif operation == "take":
            assert call("take", one[0]) == one[1]
            held.remove(one)
            gone.append(one)
            dropped += one[1]
        elif operation == "drop":
            one[0].resource_drop(store)
            held.remove(one)
            gone.append(one)
            dropped += one[1]
        elif operation == "both" and one is not other:
            # The second one is given to a guest that never drops it.
            call("both", one[0], other[0])
            held.remove(other)
            gone.append(other)
        elif operation == "bad":
            # Refused, with everything as it was.
            for bad in (None, gone[0][0] if gone else 7):
                with pytest.raises((TypeError, CanonicalAbiError)):
                    call("both", one[0], bad)
                with pytest.raises((TypeError, CanonicalAbiError)):
                    call("both", bad, one[0])
            with pytest.raises(CanonicalAbiError, match="while borrowed"):
                call("both", one[0], one[0])
        assert call("dropped") == dropped
        assert len(state_of(store).host) == len(held)
    for resource, value in held:
        assert call("get", resource) == value
    assert not store.failed
