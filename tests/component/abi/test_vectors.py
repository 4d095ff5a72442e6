"""The recorded examples of lowering and lifting; see `vectors`."""

from __future__ import annotations

import json

from . import vectors

EXAMPLES = json.loads(vectors.FILE.read_text(encoding="utf-8"))


def test_lowering() -> None:
    assert len(EXAMPLES["lower"]) == 150
    for vector in EXAMPLES["lower"]:
        assert vectors.lower(vector) == vector["result"], vector


def test_lifting() -> None:
    assert len(EXAMPLES["lift"]) == 150
    for vector in EXAMPLES["lift"]:
        assert vectors.lift(vector) == vector["result"], vector
