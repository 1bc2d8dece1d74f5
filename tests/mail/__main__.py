"""`python -m tests.mail`: run the suites, then say what was shown, with how many messages."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rrsd.cli.output import size, table
from rrsd.core.refusals import Malformed
from tests.mail.case import RECORD
from tests.support.amounts import amount_here

SUITES = (
    "setup", "passage", "prequeue", "envelopes", "arrival", "attachments", "large", "links", "door", "swap",
    "meanwhile", "chain", "notices", "crashes", "failures", "troubles", "disks", "kills", "forwarding", "hostile",
)  # fmt: skip
LARGE = "large"


def main() -> int:
    """Run every suite, or those named; trial's exit status, or 69 where there is no room for the large attachment."""
    names = sys.argv[1:] or SUITES
    try:
        loud = f"== LARGE ATTACHMENT: {amount_here().told}" if any(LARGE in each for each in names) else ""
    except (Malformed, AssertionError) as problem:
        print(f"== LARGE ATTACHMENT: {problem}", file=sys.stderr)
        return 69
    if loud:
        print(loud, flush=True)
    with tempfile.TemporaryDirectory(prefix="rrsd-") as folder:
        record = Path(folder, "record")
        record.touch()
        command = [sys.executable, "-m", "twisted.trial", *(f"tests.mail.{name}" for name in names)]
        done = subprocess.run(command, env={**os.environ, RECORD: str(record)}, check=False)
        lines = [json.loads(line) for line in record.read_text().splitlines()]
    rows = [(each["what"], each["sent"], each["received"], size(each["octets"])) for each in lines]
    print("\n" + table(("shown", "copies sent", "received", "octets received"), rows))
    if loud:
        print(f"\n{loud}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
