"""oidc-provider on Node as a second token service: the same exchanges over the same mutual TLS."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from bench.domains import Domains
from rrsd.cli.demo.daemons import free_ports
from rrsd.core.refusals import Unavailable

PACKAGES = Path(__file__).resolve().parents[1] / "tests" / "interop" / "npm"
_SCRIPT = Path(__file__).with_name("provider.mjs")
_WITHIN = 30.0


@frozen
class Provider:
    """A running oidc-provider. `version` is the package's, and Node's."""

    name: str
    port: int
    pid: int
    version: str


def install() -> str:
    """Make sure that the packages of `make interop` are there; why not, or nothing."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node and npm are missing"
    if (PACKAGES / "node_modules" / "oidc-provider").exists():
        return ""
    command = ["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=PACKAGES, capture_output=True, text=True, check=False)
    return f"npm ci failed: {done.stderr.strip().splitlines()[-1:]}" if done.returncode else ""


@contextmanager
def serving(root: Path, domains: Domains) -> Iterator[Provider]:
    """oidc-provider under bar.test's name and certificate, with bar.test's agent as its client.

    Raises:
        Unavailable: it does not start.
    """
    root.mkdir()
    port, bar = free_ports(1)[0], domains.bar
    job = {
        "issuer": bar.origin, "client": str(bar.plan.client), "port": port, "packages": str(PACKAGES),
        "certificate": str(bar.plan.certificate), "key": str(bar.plan.key), "registered": str(domains.certificate),
    }  # fmt: skip
    place, said = root / "job.json", root / "out.log"
    place.write_text(json.dumps(job))
    command, quick = ["node", str(_SCRIPT), str(place)], {**os.environ, "NODE_ENV": "production"}
    with said.open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=quick
        )
    try:
        _wait(process, said)
        yield Provider(bar.name, port, process.pid, _version())
    finally:
        process.terminate()
        process.wait(10)


def _wait(process: "subprocess.Popen[bytes]", said: Path) -> None:
    end = time.monotonic() + _WITHIN
    while time.monotonic() < end and process.poll() is None:
        if "ready" in said.read_text():
            return
        time.sleep(0.05)
    raise Unavailable(f"oidc-provider does not start: {said.read_text()[-300:]}")


def _version() -> str:
    package = json.loads((PACKAGES / "node_modules" / "oidc-provider" / "package.json").read_text())
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return f"{package['version']} on Node {node.removeprefix('v')}"
