"""Figures in text: formatting, and replacing a table in a page."""

from __future__ import annotations

from pathlib import Path


def markers(script: str) -> tuple[str, str]:
    """The comments between which a script's table stands."""
    return f"<!-- begin: written by {script} -->", f"<!-- end: written by {script} -->"


def write_between_markers(page: Path, script: str, text: str) -> None:
    """Replace what stands between a script's markers in a Markdown page."""
    begin, end = markers(script)
    before, _, rest = page.read_text().partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{page}: no markers of {script}")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def duration(seconds: float | None) -> str:
    """A time with a unit that suits it; nothing for None."""
    if seconds is None:
        return ""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def bytes_(size: float | None) -> str:
    """A number of bytes with a unit that suits it; nothing for None."""
    if size is None:
        return ""
    for factor, unit in ((1e6, "MB"), (1e3, "kB")):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size:.0f} B"
