"""Generated Python source, line by line, with the module offset that each line stands for."""

from __future__ import annotations

from array import array

from .expr import MARK, MARK_END


class Source:
    """Lines under construction.

    `depth` is the current indentation in levels.  `lines` and `offsets` run in parallel; an
    offset of 0 means that no instruction of the module belongs to the line (offset 0 is the
    magic number, so no instruction has it).
    """

    __slots__ = ("depth", "lines", "offsets")

    def __init__(self) -> None:
        self.depth = 0
        self.lines: list[str] = []
        self.offsets = array("Q")

    def emit(self, text: str, offset: int = 0) -> None:
        """Append a statement (or a clause head); marks in `text` become lines of their own."""
        first, *rest = text.split(MARK)
        self.lines.append(" " * self.depth + first)
        self.offsets.append(offset)
        for part in rest:
            number, _, line = part.partition(MARK_END)
            self.lines.append(line)
            self.offsets.append(int(number))

    def text(self) -> str:
        return "\n".join((*self.lines, ""))
