"""The page of the documentation that shows measured figures."""

from collections.abc import Sequence

from bench.figures import COLUMNS, Sheet, rows

_HEAD = """\
Performance
===========

``make bench`` measures two domains on one machine and prints what stands here; ``python -m bench --help`` says more.
This page is its output (``--page``), not a promise: compare figures of one run on one machine only.

What is measured
----------------

- **One large resource.** From the moment that ``deliver`` has accepted the message until the pull is STORED:
  the bytes are fetched over mutual TLS with an exchanged delegation, verified and synced, and the row is committed.
- **Many small resources in one message.** The same, each with a file and a job of its own.
- **Calls.** A load generator in a process of its own keeps eight connections busy:
  token exchanges at the STS with a fresh assertion each, and HEAD requests with a delegation at the RS.
  **oidc-provider** (``bench/provider.mjs``) exchanges the same assertions over the same mutual TLS by the same rules,
  after a warm-up, from memory to memory.
- **The reference puller** (``bench/puller.py``) is one process of Python's standard library:
  http.client over the same mutual TLS from nginx, SHA-256, write, fsync, rename.
  It has no queue, no rights and no resuming.
- **curl + sha256sum + fsync** gets the same file from the same nginx, one after the other.

The contestants take turns within each run.
The receiving daemon starts with an empty store each time, the sending one keeps its resources.
The INI files say what ``rrsctl init`` writes, but for the limits that a load generator meets:
``[sts] exchanges_per_second``, ``[rs] rate`` and ``burst``.
Peak memory is the kernel's VmHWM from the moment before the message is delivered.
"""


def render(sheet: Sheet) -> str:
    """The page in reStructuredText."""
    parts = [
        _HEAD,
        _title("The machine"),
        _table(("what", "which"), [[*each] for each in sheet.machine.items() if each[1]]),
    ]
    parts += [_title("Goals"), _table(("goal", "found", ""), [
        [each.goal, each.found, "met" if each.is_met else "**missed**"] for each in sheet.verdicts
    ])]  # fmt: skip
    for contest in dict.fromkeys(each.contest for each in sheet.figures):
        found = [each for each in sheet.figures if each.contest == contest]
        runs = len(found[0].values)
        parts += [
            _title(contest[0].upper() + contest[1:]),
            f"{runs} run{'s' if runs > 1 else ''}.\n",
            _table(COLUMNS, rows(found)),
        ]
    parts += [_title("Notes"), "".join(f"- {note}\n" for note in sheet.notes)]
    return "\n".join(parts)


def _title(text: str) -> str:
    return f"{text}\n{'-' * len(text)}\n"


def _table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A simple table; an empty first cell would be a continuation, and there is none."""
    widths = [max(len(row[i]) for row in [columns, *cells]) for i in range(len(columns))]
    rule = " ".join("=" * max(width, 1) for width in widths)
    lines = [" ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    head = " ".join(name.ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip()
    return "\n".join([rule, head, rule, *lines, rule]) + "\n"
