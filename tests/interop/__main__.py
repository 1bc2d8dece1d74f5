"""`python -m tests.interop`: run the peers, then say which did what, in which version."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rrsd.cli.output import table
from tests.interop.case import RECORD
from tests.interop.peers import all_peers

SUITES = ("presence", "provider", "exchange", "tokens", "signatures", "retrieval", "names", "orders")


def main() -> int:
    """Run every suite, or those named; trial's exit status."""
    names = [f"tests.interop.{name}" for name in sys.argv[1:] or SUITES]
    with tempfile.TemporaryDirectory(prefix="rrsd-") as folder:
        record = Path(folder, "record")
        record.touch()
        command = [sys.executable, "-m", "twisted.trial", *names]
        done = subprocess.run(command, env={**os.environ, RECORD: str(record)}, check=False)
        _print(record)
    return done.returncode


def _print(record: Path) -> None:
    did: dict[str, list[str]] = {}
    for line in record.read_text().splitlines():
        peer, what = json.loads(line)
        did.setdefault(peer, []).append(what)
    lines = []
    for each in all_peers():
        done = list(dict.fromkeys(did.get(each.name, []))) or ["-"]
        lines.append([each.name, each.found or "missing", each.pin, done[0]])
        lines += [["", "", "", what] for what in done[1:]]
    print("\n" + table(("peer", "version", "wanted", "what it did"), lines))


if __name__ == "__main__":
    sys.exit(main())
