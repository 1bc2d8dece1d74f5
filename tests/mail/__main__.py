"""`python -m tests.mail`: run the suites, then say what was shown, with how many messages."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rrsd.cli.output import size, table
from tests.mail.case import RECORD

SUITES = (
    "setup", "passage", "prequeue", "envelopes", "arrival", "attachments", "links", "door", "swap", "meanwhile",
    "chain", "crashes", "failures", "troubles", "disks", "kills", "forwarding", "hostile",
)  # fmt: skip


def main() -> int:
    """Run every suite, or those named; trial's exit status."""
    names = [f"tests.mail.{name}" for name in sys.argv[1:] or SUITES]
    with tempfile.TemporaryDirectory(prefix="rrsd-") as folder:
        record = Path(folder, "record")
        record.touch()
        command = [sys.executable, "-m", "twisted.trial", *names]
        done = subprocess.run(command, env={**os.environ, RECORD: str(record)}, check=False)
        lines = [json.loads(line) for line in record.read_text().splitlines()]
    rows = [(each["what"], each["sent"], each["received"], size(each["octets"])) for each in lines]
    print("\n" + table(("shown", "copies sent", "received", "octets received"), rows))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
