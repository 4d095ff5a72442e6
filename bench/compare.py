"""Compare engines: kernels, calls, instances and real modules, all in one run on one machine.

Usage: python -m bench.compare [--engines A,B,C] [--kernels X,Y] [--seconds S] [--only PART]
                               [--json FILE] [--markdown FILE] [--plot FILE] [--at-least N]

Every measurement runs in a process of its own, and the engines take turns on each kernel, so
that whatever else the machine does hits them alike.  `--markdown` replaces the parts of FILE
between marker comments with the new tables, and `--plot` draws the kernels.  With `--at-least` the
exit status is 1 unless the portable engine is N times as fast as pywasm, in the geometric mean;
only the kernels are run then.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.engines import ENGINES, can_run
from bench.kernels import KERNELS
from bench.modules import FIRST, PACKAGES
from bench.report import bytes_, duration, table, write_between_markers
from examples.fetch_guest import FetchError, module_path

ROOT = Path(__file__).parent.parent
BASE = "wasmtime"
PORTABLE = "interpreter"
PARTS = ("kernels", "steps", "modules")
# Engines whose steps are measured; the others have no embedding of that kind.
STEPS = ("native", "interpreter", "wasmtime")

Results = dict[str, dict[str, dict[str, float]]]


def run(*arguments: str) -> Any:
    """Measure in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def run_kernels(engines: list[str], kernels: list[str], seconds: float) -> Results:
    results: Results = {}
    for kernel in kernels:
        results[kernel] = {}
        for engine in engines:
            if can_run(engine, kernel):
                found = run("bench.measure", engine, kernel, str(seconds))
                results[kernel][engine] = found
                best, first = found["best_s"] * 1e3, found["first_s"] * 1e3
                say(f"{kernel:14} {engine:12} {best:10.3f} ms  (first call {first:.3f} ms)")
    return results


def ratios(results: Results, engine: str, base: str) -> dict[str, float]:
    """By kernel, how many times as long `engine` takes as `base`, for equal work."""
    return {
        kernel: by_engine[engine]["unit_s"] / by_engine[base]["unit_s"]
        for kernel, by_engine in results.items()
        if engine in by_engine and base in by_engine
    }


def kernels_table(results: Results, engines: list[str]) -> str:
    """The time of the engine to compare with, and how many times as long the others take."""
    base = BASE if BASE in engines else engines[0]
    others = [engine for engine in engines if engine != base]
    by_other = {other: ratios(results, other, base) for other in others}
    head = ["kernel", ENGINES[base].name, *(ENGINES[other].name for other in others)]
    rows = []
    for kernel, by_engine in results.items():
        found = by_engine.get(base)
        row = [f"`{kernel}`", duration(found["best_s"] if found else None)]
        rows.append(row + [_times(by_other[other].get(kernel)) for other in others])
    means = ["**geometric mean**", ""]
    for other in others:
        values = list(by_other[other].values())
        means.append(f"**{_times(geometric_mean(values))}**" if values else "")
    return table(head, [*rows, means])


def _times(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.3g}" if ratio >= 10 else f"{ratio:.2f}"


_ROWS = (
    ("instance", "a small instance (memory, data, table)", duration),
    ("store", "the same, with a store of its own", duration),
    ("call", "host → guest, `TypedFunc.call` of `add`", duration),
    ("host", "guest → host, a `def`", duration),
    ("trio_checkpoint", "for comparison: a checkpoint of trio", duration),
    ("trio_call", "trio: `call_async` beyond it", duration),
    ("trio_suspension", "trio: a suspension beyond what is awaited", duration),
    ("asyncio_checkpoint", "for comparison: `asyncio.sleep(0)`", duration),
    ("asyncio_call", "asyncio: `call_async` beyond it", duration),
    ("asyncio_suspension", "asyncio: a suspension beyond what is awaited", duration),
    ("live_bytes", "1 000 instances in stores of their own, alive", bytes_),
    ("left_bytes", "what is left of that when they are dropped", bytes_),
)


def steps_table(results: dict[str, dict[str, float]]) -> str:
    rows = [
        [title, *(show(found.get(key)) for found in results.values())]
        for key, title, show in _ROWS
        if any(key in found for found in results.values())
    ]
    return table(["step", *(ENGINES[engine].name for engine in results)], rows)


def run_modules(engines: list[str]) -> Results:
    results: Results = {}
    for package in PACKAGES:
        try:
            path = str(module_path(package))
        except FetchError as error:
            say(f"{package}: left out ({error})")
            continue
        results[package] = {e: run("bench.modules", e, package, path) for e in engines}
        if package in FIRST and "native" in engines:
            with tempfile.TemporaryDirectory() as directory:
                runs = [run("bench.modules", "native", package, path, directory) for _ in range(2)]
            results[package]["native"]["again"] = runs[1]["first"]
        say(f"{package}: {results[package]}")
    return results


def modules_table(results: Results, engines: list[str]) -> str:
    rows = []
    for package, by_engine in results.items():
        size = bytes_(next(iter(by_engine.values()))["size"])
        for key, what in (
            ("module", "`Module()`"),
            ("first", "process start to first result"),
            ("again", "the same, from the cache"),
        ):
            if any(key in found for found in by_engine.values()):
                shown = [duration(by_engine[engine].get(key)) for engine in engines]
                rows.append([f"`{package}`, {size}: {what}", *shown])
    return table(["module", *(ENGINES[engine].name for engine in engines)], rows)


def plot(results: Results, engines: list[str], file: Path) -> None:
    """Bars of the time relative to the engine to compare with, on a logarithmic scale."""
    import matplotlib as mpl

    mpl.use("svg")
    # The same picture for the same figures.
    mpl.rcParams["svg.hashsalt"] = "asyncwasm"
    from matplotlib import pyplot as plt

    others = [engine for engine in engines if engine != BASE]
    figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
    width = 0.8 / len(others)
    names = list(results)
    for number, engine in enumerate(others):
        found = ratios(results, engine, BASE)
        places = [names.index(kernel) + number * width for kernel in found]
        axes.bar(places, list(found.values()), width, label=ENGINES[engine].name)
    axes.axhline(1, color="black", linewidth=1)
    axes.set_yscale("log")
    axes.set_xticks(
        [n + 0.4 - width / 2 for n in range(len(names))], names, rotation=45, ha="right"
    )
    axes.set_ylabel(f"time, {ENGINES[BASE].name} = 1")
    axes.legend(ncols=3, fontsize="small")
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare engines.")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--kernels", default=",".join(k.name for k in KERNELS))
    parser.add_argument("--seconds", type=float, default=0.5, help="per measurement of a kernel")
    parser.add_argument("--only", choices=PARTS, help="measure this part only")
    parser.add_argument("--json", type=Path, help="write every figure there")
    parser.add_argument("--markdown", type=Path, help="replace the tables in this page")
    parser.add_argument("--plot", type=Path, help="draw the kernels into this SVG file")
    parser.add_argument("--at-least", type=float, metavar="N", help="fail below that")
    options = parser.parse_args()
    engines = options.engines.split(",")
    if unknown := set(engines) - set(ENGINES):
        parser.error(f"unknown engine: {', '.join(sorted(unknown))}")
    parts = (options.only,) if options.only else PARTS
    if options.at_least:
        parts = ("kernels",)
    about = {"python": platform.python_version(), "machine": platform.machine()}
    measured: dict[str, Any] = {"about": about}
    shown = {}
    if "kernels" in parts:
        kernels = run_kernels(engines, options.kernels.split(","), options.seconds)
        measured["kernels"], shown["kernels"] = kernels, kernels_table(kernels, engines)
    embedding = [engine for engine in STEPS if engine in engines]
    if "steps" in parts and embedding:
        steps = {engine: run("bench.steps", engine) for engine in embedding}
        measured["steps"], shown["steps"] = steps, steps_table(steps)
    if "modules" in parts and embedding:
        modules = run_modules(embedding)
        measured["modules"], shown["modules"] = modules, modules_table(modules, embedding)
    print("\n\n".join(shown.values()))
    if options.json:
        options.json.write_text(json.dumps(measured, indent=2) + "\n")
    if options.markdown:
        for part, text in shown.items():
            write_between_markers(options.markdown, f"bench/compare.py, {part}", text)
    if options.plot:
        plot(kernels, engines, options.plot)
    if options.at_least:
        mean = geometric_mean(list(ratios(kernels, "pywasm", PORTABLE).values()))
        if mean < options.at_least:
            raise SystemExit(f"{mean:.0f} times as fast as pywasm, not {options.at_least:g}")


if __name__ == "__main__":
    main()
