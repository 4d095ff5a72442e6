"""`Config`: every option of an engine, validated once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Final, Literal

from asyncwasm.core.isa.features import DEFAULT, Feature, Features

# A feature that builds on others cannot be on without them.
_NEEDS: Final = {
    Feature.RELAXED_SIMD: (Feature.SIMD,),
    Feature.FUNCTION_REFERENCES: (Feature.REFERENCE_TYPES,),
    Feature.GC: (Feature.REFERENCE_TYPES, Feature.FUNCTION_REFERENCES),
    Feature.EXCEPTIONS: (Feature.REFERENCE_TYPES,),
    Feature.REFERENCE_TYPES: (Feature.BULK_MEMORY,),
    Feature.COMPONENT_MODEL_MORE_ASYNC_BUILTINS: (Feature.COMPONENT_MODEL_ASYNC,),
    Feature.COMPONENT_MODEL_ASYNC_STACKFUL: (Feature.COMPONENT_MODEL_ASYNC,),
    Feature.COMPONENT_MODEL_THREADING: (Feature.COMPONENT_MODEL_ASYNC,),
    Feature.COMPONENT_MODEL_MEMORY64: (Feature.MEMORY64,),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Options of an `Engine`.  Names and defaults are Wasmtime's where it has them.

    * `strategy`: which engine runs guest code: `"interpreter"` is the portable one, `"native"`
      compiles functions to machine code when they are first called, and `"auto"` does so where
      that is possible (llvmlite is installed and knows the system). What native code does not
      cover runs on the portable engine, function by function.
    * `opt_level`: how the native engine compiles a function before its first call: `"tiered"`
      quickly, and better in the background when it turns out to take time; `"none"` quickly for
      good; `"speed"` as well as it can, which takes ten times as long.
    * `cache`: keep machine code on disk, for later processes of the same user: `True` in the
      user's cache directory, a path in that directory.  Nobody else may be able to write there.
    * `async_support`: `None` lets every store decide (a store comes to require async entry
      points once something async is attached to it); `True` refuses all sync entry points,
      `False` all async ones.
    * `consume_fuel`, `epoch_interruption`: compile the respective checks into guest code.
    * `preemption_interval`: in an async call the event loop gets a turn about this often, in
      seconds, even if the guest never suspends; `None` turns that off.
    * `release_gil`: machine code that takes long runs without Python's global interpreter lock,
      so that other threads go on meanwhile: Python code, and guests in stores of their own.
    * `max_wasm_stack`: guest stack per outermost entry, in bytes.  The portable engine counts
      64 bytes for a frame.
    * `scheduler_seed`: with a number, the order in which threads of components run, where the
      Component Model leaves it open, is pseudorandom and the same for the same seed; `None` is
      the order in which they became ready.
    * `lazy_validation`: validate function bodies before their first call, not in `Module`.
    * `shared_memory`: allow shared memories to be created.
    * `wasm_backtrace_max_frames`: the most frames that a backtrace holds; `None` turns
      backtraces off.
    * `wasm_*`: proposals, one switch each; see `Feature`.

    Raises `ValueError` for a value out of range or switches that contradict each other.
    """

    strategy: Literal["auto", "interpreter", "native"] = "auto"
    opt_level: Literal["tiered", "none", "speed"] = "tiered"
    cache: bool | str = False
    async_support: bool | None = None
    consume_fuel: bool = False
    epoch_interruption: bool = False
    preemption_interval: float | None = 0.01
    release_gil: bool = False
    max_wasm_stack: int = 512 * 1024
    scheduler_seed: int | None = None
    lazy_validation: bool = False
    shared_memory: bool = False
    wasm_backtrace_max_frames: int | None = 20

    wasm_multi_value: bool = True
    wasm_bulk_memory: bool = True
    wasm_reference_types: bool = True
    wasm_function_references: bool = True
    wasm_gc: bool = True
    wasm_exceptions: bool = True
    wasm_tail_call: bool = True
    wasm_simd: bool = True
    wasm_relaxed_simd: bool = True
    wasm_memory64: bool = True
    wasm_multi_memory: bool = True
    wasm_extended_const: bool = True
    wasm_threads: bool = True
    wasm_custom_page_sizes: bool = False
    wasm_wide_arithmetic: bool = True
    wasm_sign_extension: bool = True
    wasm_saturating_float_to_int: bool = True
    wasm_mutable_global: bool = True
    wasm_component_model: bool = True
    wasm_component_model_async: bool = True
    wasm_component_model_more_async_builtins: bool = False
    wasm_component_model_async_stackful: bool = False
    wasm_component_model_threading: bool = False
    wasm_component_model_error_context: bool = False
    wasm_component_model_map: bool = False
    wasm_component_model_memory64: bool = False
    wasm_component_model_fixed_length_lists: bool = False
    wasm_component_model_implements: bool = False

    def __post_init__(self) -> None:
        if self.strategy not in ("auto", "interpreter", "native"):
            raise ValueError(f"unknown strategy {self.strategy!r}")
        if self.opt_level not in ("tiered", "none", "speed"):
            raise ValueError(f"unknown opt_level {self.opt_level!r}")
        if self.async_support not in (None, True, False):
            raise ValueError("async_support must be None, True or False")
        if self.preemption_interval is not None and not self.preemption_interval > 0:
            raise ValueError("preemption_interval must be positive, or None")
        if self.max_wasm_stack <= 0:
            raise ValueError("max_wasm_stack size cannot be zero")
        if self.wasm_backtrace_max_frames is not None and self.wasm_backtrace_max_frames < 1:
            raise ValueError("wasm_backtrace_max_frames must be at least 1, or None")
        for feature, needed in _NEEDS.items():
            for other in needed:
                if feature in self.features and other not in self.features:
                    raise ValueError(f"`{feature.switch}` requires `{other.switch}`")

    @cached_property
    def features(self) -> Features:
        """The proposals that are on."""
        return frozenset(f for f in Feature if getattr(self, f.switch))

    @property
    def checks_interrupts(self) -> bool:
        """Whether guest code has to look at the store's interrupt flag."""
        timed = self.preemption_interval is not None or self.release_gil
        return timed or self.epoch_interruption

    @property
    def max_wasm_frames(self) -> int:
        """`max_wasm_stack` in frames of the portable engine."""
        return max(16, self.max_wasm_stack // 64)


assert {f.switch for f in Feature} == {f.name for f in fields(Config) if f.name[:5] == "wasm_"} - {
    "wasm_backtrace_max_frames"
}
assert Config().features == DEFAULT
