"""Compare engines on the kernels: a table of ratios, all from one run on one machine.

Usage: python -m bench.compare [--engines A,B,C] [--kernels X,Y] [--seconds S] [--json FILE]
                               [--markdown FILE] [--at-least N]

Every measurement runs in a process of its own, and the engines take turns on each kernel, so
that whatever else the machine does hits them alike.  `--markdown` replaces the part of FILE
between the two marker comments with the new table.  With `--at-least` the exit status is 1 unless
the portable engine is N times as fast as pywasm, in the geometric mean.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import sys
from pathlib import Path

from bench.engines import ENGINES, version
from bench.kernels import KERNELS
from bench.report import duration, table, write_between_markers

ROOT = Path(__file__).parent.parent
BASE = "interpreter"

Results = dict[str, dict[str, dict[str, float]]]


def run_one(engine: str, kernel: str, seconds: float) -> dict[str, float]:
    """Measure in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.measure", engine, kernel, str(seconds)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{engine} failed on {kernel}:\n{done.stderr}")
    return json.loads(done.stdout)


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def collect(engines: list[str], kernels: list[str], seconds: float) -> Results:
    results: Results = {}
    for kernel in KERNELS:
        if kernel.name not in kernels:
            continue
        results[kernel.name] = {}
        for engine in engines:
            if engine == "pywasm" and not kernel.pywasm:
                continue
            measured = run_one(engine, kernel.name, seconds)
            results[kernel.name][engine] = measured
            print(
                f"{kernel.name:14} {engine:12} {measured['best_s'] * 1e3:10.3f} ms"
                f"  (first call {measured['first_s'] * 1e3:.3f} ms)",
                file=sys.stderr,
                flush=True,
            )
    return results


def ratios(results: Results, other: str) -> dict[str, float]:
    """By kernel, how many times as long `other` takes as the portable engine, for equal work."""
    return {
        kernel: by_engine[other]["unit_s"] / by_engine[BASE]["unit_s"]
        for kernel, by_engine in results.items()
        if other in by_engine and BASE in by_engine
    }


def summary(results: Results, engines: list[str]) -> str:
    """The results as a Markdown table."""
    others = [e for e in engines if e != BASE]
    by_other = {other: ratios(results, other) for other in others}
    head = ["kernel", "portable engine"]
    for other in others:
        comparison = "times faster than" if other == "pywasm" else "times slower than"
        head.append(f"{comparison} {other} {version(other)}")
    rows = []
    for kernel, by_engine in results.items():
        mine = by_engine.get(BASE)
        row = [f"`{kernel}`", duration(mine["best_s"] if mine else None)]
        row += [_times(other, by_other[other].get(kernel)) for other in others]
        rows.append(row)
    means = ["**geometric mean**", ""]
    for other in others:
        values = list(by_other[other].values())
        means.append(f"**{_times(other, geometric_mean(values))}**" if values else "")
    return table(head, [*rows, means])


def _times(other: str, ratio: float | None) -> str:
    if ratio is None:
        return ""
    shown = ratio if other == "pywasm" else 1 / ratio
    return f"{shown:.0f}" if shown >= 10 else f"{shown:.2g}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare engines on the kernels.")
    parser.add_argument("--engines", default="interpreter,pywasm,wasmtime")
    parser.add_argument("--kernels", default=",".join(k.name for k in KERNELS))
    parser.add_argument("--seconds", type=float, default=1.0, help="per measurement")
    parser.add_argument("--json", type=Path, help="write every figure there")
    parser.add_argument("--markdown", type=Path, help="replace the table in this page")
    parser.add_argument("--at-least", type=float, metavar="N", help="fail below that")
    options = parser.parse_args()
    engines = options.engines.split(",")
    if unknown := set(engines) - set(ENGINES):
        parser.error(f"unknown engine: {', '.join(sorted(unknown))}")
    results = collect(engines, options.kernels.split(","), options.seconds)
    shown = summary(results, engines)
    print(shown)
    if options.json:
        about = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "versions": {engine: version(engine) for engine in engines},
        }
        options.json.write_text(json.dumps({"about": about, "results": results}, indent=2) + "\n")
    if options.markdown:
        write_between_markers(options.markdown, "bench/compare.py", shown)
    if options.at_least:
        mean = geometric_mean(list(ratios(results, "pywasm").values()))
        if mean < options.at_least:
            raise SystemExit(f"{mean:.0f} times as fast as pywasm, not {options.at_least:g}")


if __name__ == "__main__":
    main()
