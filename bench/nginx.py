"""nginx with one worker, serving a folder over the same mutual TLS that a domain speaks."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from rrsd.cli.demo.daemons import free_ports
from rrsd.cli.init import Plan
from rrsd.core.refusals import Unavailable

_POLICY = Path("/usr/sbin/policy-rc.d")
_WITHIN = 10.0
_CONF = """\
daemon off;
{user}
worker_processes 1;
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 600;
  default_type application/octet-stream;
  client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
  uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
  server {{
    listen 127.0.0.1:{port} ssl;
    server_name {name};
    ssl_protocols TLSv1.3;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_verify_client optional_no_ca;
    if ($ssl_client_fingerprint != "{fingerprint}") {{ return 403; }}
    root {root}/www;
  }}
}}
"""


@frozen
class Nginx:
    """A running nginx."""

    name: str
    port: int
    pid: int
    www: Path


def install() -> str:
    """Make sure that there is an nginx; why not, or nothing. No daemon is started by installing it."""
    if shutil.which("nginx"):
        return ""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "nginx is missing and cannot be installed here (needs root and apt-get)"
    is_ours = not _POLICY.exists()
    if is_ours:
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
    try:
        return _apt()
    finally:
        if is_ours:
            _POLICY.unlink()


def _apt() -> str:
    command = ["apt-get", "install", "-y", "--no-install-recommends", "nginx-light"]
    quiet = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for _ in range(2):
        done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return ""
        subprocess.run(["apt-get", "update"], env=quiet, capture_output=True, check=False)
    return f"nginx-light cannot be installed: {done.stderr.strip().splitlines()[-1:]}"


@contextmanager
def serving(root: Path, plan: Plan, fingerprint: str) -> Iterator[Nginx]:
    """nginx with the domain's own certificate; only the client certificate with that SHA-1 fingerprint is served.

    Raises:
        Unavailable: it does not start.
    """
    (root / "www").mkdir(parents=True)
    port = free_ports(1)[0]
    conf = root / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    given = {"name": plan.domain, "certificate": plan.certificate, "key": plan.key, "fingerprint": fingerprint}
    conf.write_text(_CONF.format(root=root, port=port, user=user, **given))
    command = ["nginx", "-p", str(root), "-c", str(conf)]
    with (root / "out.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(process, port, root)
        yield Nginx(str(plan.domain), port, process.pid, root / "www")
    finally:
        process.terminate()
        process.wait(10)


def _wait(process: "subprocess.Popen[bytes]", port: int, root: Path) -> None:
    end = time.monotonic() + _WITHIN
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 0.3).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Unavailable(f"nginx does not start: {(root / 'out.log').read_text()[-300:]}")
