"""Running with one way of writing control flow only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from asyncwasm.core.exec.interp import translate
from asyncwasm.core.exec.interp.control import Control
from asyncwasm.core.exec.interp.flat import FlatControl, FlattestControl

STRATEGIES: tuple[type[Control], ...] = (Control, FlatControl, FlattestControl)

every_strategy = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.__name__)


@contextmanager
def only(strategy: type[Control]) -> Iterator[Any]:
    """Translate with `strategy` alone: what it cannot write is an error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(translate, "STRATEGIES", (strategy,))
        yield
