"""Components in test scripts."""

from __future__ import annotations

import importlib
from typing import Any

from asyncwasm import Engine
from asyncwasm.component.binary import decode_component


def compile_component(engine: Engine, data: bytes) -> Any:
    """Decode and validate a component; raises what is wrong with it."""
    definition = decode_component(data, engine.config.features)
    try:
        validation = importlib.import_module("asyncwasm.component.validate")
    except ModuleNotFoundError:
        return definition
    validate = getattr(validation, "validate_component", None)
    return definition if validate is None else validate(definition, engine.config.features)
