"""Proposals as switches.

Each member is one proposal of WebAssembly with a switch of its own in `Config`; `ALL` and
`DEFAULT` are the sets that matter.  Instructions outside every proposal have no feature (None).
"""

from __future__ import annotations

import enum
from typing import Final

from asyncwasm.errors import ValidationError


class Feature(enum.Enum):
    """A proposal.  The value is the name of its `Config` switch without the `wasm_` prefix."""

    MULTI_VALUE = "multi_value"
    BULK_MEMORY = "bulk_memory"
    REFERENCE_TYPES = "reference_types"
    FUNCTION_REFERENCES = "function_references"
    GC = "gc"
    EXCEPTIONS = "exceptions"
    TAIL_CALL = "tail_call"
    SIMD = "simd"
    RELAXED_SIMD = "relaxed_simd"
    MEMORY64 = "memory64"
    MULTI_MEMORY = "multi_memory"
    EXTENDED_CONST = "extended_const"
    THREADS = "threads"
    CUSTOM_PAGE_SIZES = "custom_page_sizes"
    WIDE_ARITHMETIC = "wide_arithmetic"
    SIGN_EXTENSION = "sign_extension"
    SATURATING_FLOAT_TO_INT = "saturating_float_to_int"
    MUTABLE_GLOBAL = "mutable_global"
    # The Component Model and what is gated in it.
    COMPONENT_MODEL = "component_model"
    COMPONENT_MODEL_ASYNC = "component_model_async"
    COMPONENT_MODEL_MORE_ASYNC_BUILTINS = "component_model_more_async_builtins"
    COMPONENT_MODEL_ASYNC_STACKFUL = "component_model_async_stackful"
    COMPONENT_MODEL_THREADING = "component_model_threading"
    COMPONENT_MODEL_ERROR_CONTEXT = "component_model_error_context"
    COMPONENT_MODEL_MAP = "component_model_map"
    COMPONENT_MODEL_MEMORY64 = "component_model_memory64"
    COMPONENT_MODEL_FIXED_LENGTH_LISTS = "component_model_fixed_length_lists"
    COMPONENT_MODEL_IMPLEMENTS = "component_model_implements"

    @property
    def switch(self) -> str:
        """The `Config` option that turns this proposal on and off."""
        return f"wasm_{self.value}"

    @property
    def title(self) -> str:
        """The proposal's name in running text."""
        return _TITLES.get(self) or self.value.replace("_", " ")


_TITLES: Final = {
    Feature.MULTI_VALUE: "multi-value",
    Feature.MULTI_MEMORY: "multi-memory",
    Feature.GC: "GC",
    Feature.SIMD: "SIMD",
    Feature.RELAXED_SIMD: "relaxed SIMD",
    Feature.COMPONENT_MODEL: "Component Model",
    Feature.COMPONENT_MODEL_ASYNC: "component model async",
    Feature.COMPONENT_MODEL_MORE_ASYNC_BUILTINS: "component model more async builtins",
    Feature.COMPONENT_MODEL_ASYNC_STACKFUL: "component model async stackful",
    Feature.COMPONENT_MODEL_THREADING: "component model threading",
    Feature.COMPONENT_MODEL_ERROR_CONTEXT: "component model error-context",
    Feature.COMPONENT_MODEL_MAP: "component model map",
    Feature.COMPONENT_MODEL_MEMORY64: "component model memory64",
    Feature.COMPONENT_MODEL_FIXED_LENGTH_LISTS: "component model fixed-length lists",
    Feature.COMPONENT_MODEL_IMPLEMENTS: "component model implements",
}


Features = frozenset[Feature]

ALL: Features = frozenset(Feature)

# What Wasmtime turns on by default: WebAssembly 3.0, threads, wide arithmetic, and components
# with what is settled of their async part.
DEFAULT: Features = ALL - {
    Feature.CUSTOM_PAGE_SIZES,
    Feature.COMPONENT_MODEL_MORE_ASYNC_BUILTINS,
    Feature.COMPONENT_MODEL_ASYNC_STACKFUL,
    Feature.COMPONENT_MODEL_THREADING,
    Feature.COMPONENT_MODEL_ERROR_CONTEXT,
    Feature.COMPONENT_MODEL_MAP,
    Feature.COMPONENT_MODEL_MEMORY64,
    Feature.COMPONENT_MODEL_FIXED_LENGTH_LISTS,
    Feature.COMPONENT_MODEL_IMPLEMENTS,
}


def require(features: Features, feature: Feature | None, offset: int | None) -> None:
    """Raise `ValidationError` unless `feature` is on; None stands for what is always there."""
    if feature is not None and feature not in features:
        raise ValidationError(
            f"{feature.title} support is not enabled -- see `{feature.switch}`", offset=offset
        )
