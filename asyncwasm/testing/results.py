"""What came of running a test script, as data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Failure:
    """A command that did not do what the script says it does.

    `line` is where the command starts, from 1.
    """

    line: int
    expected: str
    got: str

    def __str__(self) -> str:
        return f"expected {self.expected}, got {self.got}"


@dataclass(frozen=True, slots=True)
class Skip:
    """A command that was not run, and why."""

    line: int
    reason: str


@dataclass(slots=True)
class ScriptResult:
    """The outcome of one script.  Every command counts once: passed, failed or skipped."""

    file: str
    passed: int = 0
    failures: list[Failure] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """How many commands failed."""
        return len(self.failures)

    @property
    def skipped(self) -> int:
        """How many commands were not run."""
        return len(self.skips)
