"""Options that several commands share: proposals, and numbers with units."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from typing import Any, Final

from asyncwasm import Config, Engine, UsageError
from asyncwasm.core.isa.features import Feature

from ._failure import Failure

_ANSWERS: Final = {
    "y": True, "yes": True, "true": True, "n": False, "no": False, "false": False,
}  # fmt: skip
_FEATURES: Final = {feature.value: feature for feature in Feature}
_SIZES: Final = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_TIMES: Final = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "m": 60.0, "min": 60.0, "h": 3600.0}


def add_wasm_option(
    parser: argparse.ArgumentParser, limits: Mapping[str, argparse.Action] | None = None
) -> None:
    """Add `-W FEATURE[=y|n]`, which may be given several times.

    `limits` are options that it sets, too, by the names that they have there in Wasmtime.
    """

    class Set(argparse.Action):
        def __call__(
            self,
            parser: argparse.ArgumentParser,
            namespace: argparse.Namespace,
            values: Any,
            option_string: str | None = None,
        ) -> None:
            switches = list(getattr(namespace, self.dest))
            for part in values.split(","):
                name, _, value = part.partition("=")
                limit = (limits or {}).get(name.strip())
                try:
                    if limit is None:
                        switches.append(_switch(part))
                    else:
                        assert callable(limit.type)
                        setattr(namespace, limit.dest, limit.type(value))
                except argparse.ArgumentTypeError as error:
                    raise argparse.ArgumentError(self, str(error)) from error
            setattr(namespace, self.dest, switches)

    more = ", ".join(f"{name}=…" for name in limits or ())
    parser.add_argument(
        "-W",
        "--wasm",
        metavar="FEATURE[=y|n]",
        action=Set,
        default=[],
        help="turn a proposal on or off; several may be separated by commas; one of "
        + ", ".join(_FEATURES)
        + (f"; also {more}, as for Wasmtime" if more else ""),
    )


def add_engine_option(parser: argparse.ArgumentParser) -> None:
    """Add `--engine`."""
    parser.add_argument(
        "--engine",
        choices=["auto", "interpreter", "native"],
        default="auto",
        help="which engine runs guest code (default: the fastest that is present)",
    )


def make_config(args: argparse.Namespace, **options: Any) -> Config:
    """The `Config` for parsed arguments; raises `Failure` for options that contradict."""
    switches = {feature.switch: on for feature, on in args.wasm}
    if "engine" in args:
        options["strategy"] = args.engine
    try:
        return Config(**options, **switches)
    except ValueError as error:
        raise Failure(str(error), status=2) from error


def make_engine(config: Config) -> Engine:
    """The `Engine` for a configuration; raises `Failure` if it cannot be had here."""
    try:
        return Engine(config)
    except UsageError as error:
        raise Failure(str(error), status=2) from error


def _switch(text: str) -> tuple[Feature, bool]:
    name, _, answer = text.partition("=")
    feature = _FEATURES.get(name.strip().replace("-", "_").removeprefix("wasm_"))
    if feature is None:
        raise argparse.ArgumentTypeError(f"unknown feature {name!r}")
    on = _ANSWERS.get(answer.strip().lower() or "y")
    if on is None:
        raise argparse.ArgumentTypeError(f"{answer!r} is neither y nor n")
    return feature, on


def size(text: str) -> int:
    """A number of bytes: `65536`, `64KiB`, `1.5GiB`."""
    return int(_with_unit(text, _SIZES, "a size such as 65536 or 64MiB"))


def duration(text: str) -> float:
    """A number of seconds: `2`, `1.5s`, `300ms`, `2min`."""
    return _with_unit(text, _TIMES, "a duration such as 1.5s or 300ms")


def count(text: str) -> int:
    """A number that is not negative."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return int(text)


def positive(text: str) -> int:
    """A number greater than zero."""
    value = count(text)
    if not value:
        raise argparse.ArgumentTypeError("the number must be at least 1")
    return value


def _with_unit(text: str, units: dict[str, float] | dict[str, int], what: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower(), re.ASCII)
    unit = None if match is None else units.get(match[2])
    if match is None or unit is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    # Whole numbers stay exact, however big.
    return (float(match[1]) if "." in match[1] else int(match[1])) * unit
