"""`python -m tests.mail`: run the suites, then say what was shown, with how many messages.

All of them run in two halves side by side, each with servers of its own: most of the time everybody waits for somebody.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rrsd.cli.output import size, table
from rrsd.core.refusals import Malformed
from tests.mail.case import RECORD
from tests.support.amounts import CHOSEN, amount_here

HALVES = (
    (
        "setup", "passage", "prequeue", "envelopes", "links", "door", "swap", "meanwhile", "crashes", "failures",
        "troubles", "kills",
    ),
    ("large", "arrival", "attachments", "chain", "notices", "disks", "forwarding", "hostile"),
)  # fmt: skip
LARGE = "large"
_CLOSING = re.compile(r"^(?:PASSED|FAILED)(?: \((.*)\))?$", re.MULTILINE)


def suites_of(arguments: Sequence[str]) -> list[str]:
    """The suites that are named, as `crashes` or `crashes.Crashes.test_this`; ends the program where there is no such
    one, or help is asked for."""
    known = sorted(name for half in HALVES for name in half)
    parser = argparse.ArgumentParser(
        prog="python -m tests.mail",
        description="Real mail servers with rrsd between them, on loopback; then what was shown. "
        "RRSD_MAIL_SIZE=200MiB makes the large attachment smaller, TMPDIR names the disk.",
    )
    parser.add_argument("suite", nargs="*", help=f"{', '.join(known)}; or one of their tests; without any, all of them")
    names: list[str] = parser.parse_args(arguments).suite
    for name in names:
        if name.partition(".")[0] not in known:
            parser.error(f"there is no suite {name!r}: say one of {', '.join(known)}")
    return names


def main() -> int:
    """Run every suite, or those named; trial's exit status, or 69 where there is no room for the large attachment."""
    named = suites_of(sys.argv[1:])
    parts = [named] if named else HALVES
    try:
        amount = amount_here() if any(each.partition(".")[0] == LARGE for part in parts for each in part) else None
    except (Malformed, AssertionError) as problem:
        print(f"== LARGE ATTACHMENT: {problem}", file=sys.stderr)
        return 69
    loud, environ = "", dict(os.environ)
    if amount is not None:
        loud, environ[CHOSEN] = f"== LARGE ATTACHMENT: {amount.told}", str(amount.octets)
        print(loud, flush=True)
    with tempfile.TemporaryDirectory(prefix="rrsd-") as folder:
        record = Path(folder, "record")
        record.touch()
        environ[RECORD] = str(record)
        status = _alone(parts[0], environ) if len(parts) == 1 else _beside(parts, environ)
        lines = [json.loads(line) for line in record.read_text().splitlines()]
    rows = [(each["what"], each["sent"], each["received"], size(each["octets"])) for each in lines]
    print("\n" + table(("shown", "copies sent", "received", "octets received"), rows))
    if loud:
        print(f"\n{loud}")
    return status


def _command(names: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "twisted.trial", *(f"tests.mail.{name}" for name in names)]


def _alone(names: Sequence[str], environ: Mapping[str, str]) -> int:
    return subprocess.run(_command(names), env=environ, check=False).returncode


def _beside(parts: Sequence[Sequence[str]], environ: Mapping[str, str]) -> int:
    """All of them at once, each line with the number of its part; the last line counts for all."""
    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda each: _told(each[0], each[1], environ), enumerate(parts, 1)))
    counts: Counter[str] = Counter()
    for _, said in ended:
        found = _CLOSING.findall(said)
        counts.update({name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", found[-1] if found else "")})
        counts["errors"] += not found  # it died before it had counted
    told = ", ".join(f"{name}={count}" for name, count in counts.items() if count)
    statuses = [abs(status) for status, _ in ended]
    print(f"{'FAILED' if any(statuses) else 'PASSED'} ({told})")
    return max(statuses)


def _told(number: int, names: Sequence[str], environ: Mapping[str, str]) -> tuple[int, str]:
    """One part's exit status, and what it said, which is printed as it comes."""
    lines = []
    with subprocess.Popen(
        _command(names), env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"{number}| {line}", end="", flush=True)
            lines.append(line)
    return process.returncode, "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
