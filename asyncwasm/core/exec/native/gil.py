"""Running guest code without the GIL, for `Config.release_gil`.

A call starts with the GIL, and short ones never let it go: only what notices a tick in code that
is *free* does, having asked Python what there is to do.  Free is a function that works on no Python
objects itself, as far as it does not say so to `hold`; it may be running with or without the GIL.
So whatever enters Python calls `hold` before, which takes the GIL back if it was released, and
functions that are not free call `regain` at their entry and after each call.  Tables of functions
are read without the GIL: a store's tables are changed by its own thread, see `check_thread`.

The store's word `RELEASED` says how things are.  Fibers switch, and stores are entered and left, in
Python only, where it is always 0; hence one word for all fibers of a store.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from asyncwasm.core.runtime.words import ASKED, MAY_SUSPEND, RELEASED, SEEN

from .abi import Helper, Word
from .emit import HOLD, c_call, helper_call
from .ticker import COUNTER

if TYPE_CHECKING:
    from .emit import Emitter

# Sync calls without the GIL ask Python what there is to do, signals above all, when they have
# noticed so many ticks, and not at each: whoever holds the GIL gives it up 5 ms later.
_PATIENCE: Final = 8
REGAIN: Final = "call void @regain(ptr %ctx)"
# What free functions may call or mention.
_FREE: Final = re.compile(
    r"poll|sample|regain|raise_trap|passed|call_helper|[bfnot]\d+|module\.[\w.]+|[ft]indirect_\w+|freference_\w+"
    r"|llvm\.[\w.]+|loaded\.\w+|asyncwasm\.\w+|object\.\w+"
)
_NAMES: Final = re.compile(r"@([\w.]+)")
# Families of instructions that work on objects without calling anything.
BOUND: Final = frozenset({"aggregate", "reference", "table"})


def hold(out: Emitter, words: str) -> None:
    """Make sure of the GIL, in code that has no context but the store's words."""
    out.do(f"call void @hold_words(ptr {words})")


def loosen(text: str) -> str:
    """A function's text, changed to run without the GIL if it can."""
    if not all(_FREE.fullmatch(name) for name in _NAMES.findall(text)):
        return text
    text = text.replace(f"  {REGAIN}\n", "")
    return text.replace(" @poll(", " @poll_free(").replace(" @sample(", " @sample_free(")


def holding() -> str:
    """`hold` and its kin, as functions of IR."""
    return f"""
define internal void @hold_words(ptr %words) alwaysinline {{
  %at = getelementptr i64, ptr %words, i64 {RELEASED}
  %state = load ptr, ptr %at
  %held = icmp eq ptr %state, null
  br i1 %held, label %done, label %take, !prof !1
take:
  call void @take_gil(ptr %at, ptr %state)
  br label %done
done:
  ret void
}}
define internal void @take_gil(ptr %at, ptr %state) noinline cold {{
  store ptr null, ptr %at
  {c_call("PyEval_RestoreThread", "%state")}
  ret void
}}
define internal void @hold(ptr %ctx) {{
  %words = load ptr, ptr %ctx
  call void @hold_words(ptr %words)
  ret void
}}"""


def _asking(name: str, params: str, helper: Helper, *operands: str) -> str:
    """`poll` or `sample` for free functions: goes on without the GIL."""
    convention = "preserve_mostcc " if helper is Helper.POLL else ""
    return f"""
define internal {convention}i32 @{name}({params}) noinline cold {{
  %words = load ptr, ptr %ctx
  %released = getelementptr i64, ptr %words, i64 {RELEASED}
  %asked = getelementptr i64, ptr %words, i64 {ASKED}
{_PATIENTLY if name == "poll_free" else "  br label %ask"}
ask:
  {HOLD}
  %at = getelementptr ptr, ptr %ctx, i64 {int(Word.HELPERS)}
  %list = load ptr, ptr %at
  %item = getelementptr ptr, ptr %list, i64 {int(helper)}
  %callable = load ptr, ptr %item
  %r = {helper_call("%callable", *operands)}
  %s = extractvalue {{ i32, i64 }} %r, 0
  %failed = icmp ne i32 %s, 0
  br i1 %failed, label %end, label %release
release:
  %count = load atomic i64, ptr {COUNTER} monotonic, align 8
  store i64 %count, ptr %asked
  %mine = {c_call("PyEval_SaveThread")}
  store ptr %mine, ptr %released
  br label %end
end:
  ret i32 %s
}}"""


# Another thread may raise the flag at any time, which makes the count that was seen 0.
_PATIENTLY: Final = f"""
  %state = load ptr, ptr %released
  %held = icmp eq ptr %state, null
  br i1 %held, label %ask, label %look
look:
  %now = load atomic i64, ptr {COUNTER} monotonic, align 8
  %last = load i64, ptr %asked
  %since = sub i64 %now, %last
  %recent = icmp ult i64 %since, {_PATIENCE}
  %may.at = getelementptr i64, ptr %words, i64 {MAY_SUSPEND}
  %may = load i64, ptr %may.at
  %sync = icmp eq i64 %may, 0
  %fuel.at = getelementptr ptr, ptr %ctx, i64 {int(Word.FUEL)}
  %fuel.word = load ptr, ptr %fuel.at
  %fuel = load i64, ptr %fuel.word
  %fed = icmp sgt i64 %fuel, LEAST
  %seen.at = getelementptr i64, ptr %words, i64 {SEEN}
  %seen = load atomic i64, ptr %seen.at monotonic, align 8
  %raised = icmp eq i64 %seen, 0
  %quiet = xor i1 %raised, true
  %calm = and i1 %recent, %sync
  %steady = and i1 %fed, %quiet
  %on = and i1 %calm, %steady
  br i1 %on, label %note, label %ask
note:
  %swapped = cmpxchg ptr %seen.at, i64 %seen, i64 %now monotonic monotonic
  %noted = extractvalue {{ i64, i1 }} %swapped, 1
  br i1 %noted, label %go, label %ask
go:
  ret i32 0"""


def definitions(*, released: bool, metered: bool) -> str:
    """What units have, in engines that release the GIL or do not, with and without fuel."""
    if not released:
        return "define internal void @hold(ptr %ctx) {\n  ret void\n}"
    # Without fuel the counter is always 0.
    free = _asking("poll_free", "ptr %ctx", Helper.POLL).replace("LEAST", "0" if metered else "-1")
    return "\n".join(
        [
            holding(),
            free,
            _asking("sample_free", "ptr %ctx, i64 %index", Helper.SAMPLE, "%index"),
            f"define internal void @regain(ptr %ctx) {{\n  {HOLD}\n  ret void\n}}",
        ]
    )
