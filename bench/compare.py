"""Compare engines on the kernels: a table of ratios, all from one run on one machine.

Usage: python -m bench.compare [--engines A,B,C] [--kernels X,Y] [--seconds S] [--json FILE]
                               [--markdown FILE]

Every measurement runs in a process of its own, and the engines take turns on each kernel, so
that whatever else the machine does hits them alike.  `--markdown` replaces the part of FILE
between the two marker comments with the new table.
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

ROOT = Path(__file__).parent.parent
BEGIN = "<!-- begin: written by bench/compare.py -->"
END = "<!-- end: written by bench/compare.py -->"
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


def _times(ratio: float) -> str:
    return f"{ratio:.0f} ×" if ratio >= 10 else f"{ratio:.2g} ×"


def table(results: Results, engines: list[str]) -> str:
    """The results as a Markdown table."""
    others = [e for e in engines if e != BASE]
    by_other = {other: ratios(results, other) for other in others}
    heads = ["kernel", "portable engine"]
    for other in others:
        slower = "faster than" if other == "pywasm" else "slower than"
        heads.append(f"{slower} {other} {version(other)}")
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for kernel, by_engine in results.items():
        row = [f"`{kernel}`"]
        mine = by_engine.get(BASE)
        row.append(f"{mine['best_s'] * 1e3:.2f} ms" if mine else "")
        for other in others:
            ratio = by_other[other].get(kernel)
            shown = ratio if other == "pywasm" or ratio is None else 1 / ratio
            row.append("" if shown is None else _times(shown))
        lines.append("| " + " | ".join(row) + " |")
    means = ["**geometric mean**", ""]
    for other in others:
        values = list(by_other[other].values())
        if other != "pywasm":
            values = [1 / v for v in values]
        means.append(f"**{_times(geometric_mean(values))}**" if values else "")
    lines.append("| " + " | ".join(means) + " |")
    return "\n".join(lines)


def write_between_markers(path: Path, text: str) -> None:
    """Replace what stands between the markers in a Markdown file."""
    page = path.read_text()
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{path}: no markers")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare engines on the kernels.")
    parser.add_argument("--engines", default="interpreter,pywasm,wasmtime")
    parser.add_argument("--kernels", default=",".join(k.name for k in KERNELS))
    parser.add_argument("--seconds", type=float, default=1.0, help="per measurement")
    parser.add_argument("--json", type=Path, help="write every figure there")
    parser.add_argument("--markdown", type=Path, help="replace the table in this page")
    options = parser.parse_args()
    engines = options.engines.split(",")
    if unknown := set(engines) - set(ENGINES):
        parser.error(f"unknown engine: {', '.join(sorted(unknown))}")
    results = collect(engines, options.kernels.split(","), options.seconds)
    shown = table(results, engines)
    print(shown)
    if options.json:
        about = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "versions": {engine: version(engine) for engine in engines},
        }
        options.json.write_text(json.dumps({"about": about, "results": results}, indent=2) + "\n")
    if options.markdown:
        write_between_markers(options.markdown, shown)


if __name__ == "__main__":
    main()
