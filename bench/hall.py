"""What the contests share: where everything is, and how the standard-library processes are run."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import define

from bench import load, puller, readings
from bench.domains import Domains
from bench.figures import Sheet
from bench.nginx import Nginx
from bench.provider import Provider
from rrsd.core.refusals import Unavailable

MIB = 1024 * 1024


@define(eq=False)
class Hall:
    """One whole benchmark. `nginx` and `provider` are None when they cannot be had, and left out then."""

    root: Path
    domains: Domains
    nginx: Nginx | None
    provider: Provider | None
    sheet: Sheet
    runs: int
    say: Callable[[str], None]
    _numbers: Iterator[int]

    def folder(self) -> Path:
        """A new empty folder."""
        path = self.root / f"out-{next(self._numbers)}"
        path.mkdir()
        return path

    def pulled(self, function: Mapping[str, Any]) -> dict[str, float]:
        """What the reference puller says of its job; the processor time of nginx is added."""
        nginx = self._server()
        job = self._job({**self._to(nginx.name, nginx.port), **function})
        before = readings.cpu_seconds(readings.family(nginx.pid))
        done = subprocess.run(
            [sys.executable, "-P", puller.__file__, str(job)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Unavailable(f"the reference puller failed: {done.stderr.strip()[-300:]}")
        served = readings.cpu_seconds(readings.family(nginx.pid)) - before
        said: dict[str, float] = json.loads(done.stdout)
        return {**said, "served": served}

    def loaded(self, place: tuple[str, int], pids: list[int], requests: list[bytes], many: int) -> dict[str, Any]:
        """What the load generator says; "served" is the processor time of the server's processes meanwhile."""
        path = self.root / "requests"
        load.write_requests(path, requests)
        is_head = requests[0].startswith(b"HEAD")
        job = self._job({**self._to(*place), "requests": str(path), "connections": many, "is_head": is_head})
        command = [sys.executable, "-P", load.__file__, str(job)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None and process.stdout is not None
            ready = process.stdout.readline()
            before = readings.cpu_seconds(pids)
            said = process.communicate("\n")[0] if ready else ""
            served = readings.cpu_seconds(pids) - before
        if process.returncode:
            raise Unavailable("the load generator failed: its message is above")
        return {**json.loads(said), "served": served}

    def _to(self, name: str, port: int) -> dict[str, Any]:
        mine = self.domains
        credentials = {"certificate": str(mine.certificate), "key": str(mine.key), "roots": str(mine.roots)}
        return {"name": name, "port": port, **credentials}

    def _job(self, job: Mapping[str, Any]) -> Path:
        path = self.root / "job.json"
        path.write_text(json.dumps(job))
        return path

    def _server(self) -> Nginx:
        if self.nginx is None:
            raise Unavailable("there is no nginx")
        return self.nginx
