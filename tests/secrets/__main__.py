"""Search the logs below the folders of the command line; status 1 when something is found, 2 when nothing was read."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from tests.secrets.scan import blind_to, logs_in, search

MOST_SHOWN = 50


def main(places: Sequence[str], out: TextIO) -> int:
    """Search, tell, and give the exit status."""
    blind = blind_to()
    if blind:
        out.write(f"secrets: the search does not find a planted {', '.join(blind)}\n")
        return 2
    logs = logs_in(Path(place) for place in places)
    if not logs:
        out.write(f"secrets: no log below {' '.join(places) or 'nothing'}: run the tests first\n")
        return 2
    found = [each for path in logs for each in search(path)]
    out.writelines(f"secrets: {each}\n" for each in found[:MOST_SHOWN])
    size = sum(path.stat().st_size for path in logs)
    out.write(f"secrets: {len(found)} in {len(logs)} logs of {size} bytes\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdout))
