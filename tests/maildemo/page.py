"""The page of a personal link, drawn by a browser where there is one."""

import base64
import hashlib
import re
import subprocess
import tempfile
from html import unescape
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rrsd.cli.demo.daemons import Daemon
from tests.maildemo.needs import browser

WIDTH, HEIGHT = 480, 560
WITHIN = 30.0
_TAG = re.compile(r"<[^>]+>")
_UNSEEN = re.compile(r"<(head|style)\b.*?</\1>", re.DOTALL)


def draw(daemon: Daemon, url: str, picture: Path) -> bool:
    """Draw the page; whether a browser was there and did it.

    It is led to loopback, and believes the certificate by its key, as it would by its authority's name.
    """
    program = browser()
    if program is None:
        return False
    certificate = x509.load_pem_x509_certificate(Path(daemon.plan.certificate).read_bytes())
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key = base64.b64encode(hashlib.sha256(spki).digest()).decode()
    with tempfile.TemporaryDirectory(prefix="rrsd-") as folder:
        command = [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder}",
            f"--host-resolver-rules=MAP foo.test 127.0.0.1:{daemon.port}",
            f"--ignore-certificate-errors-spki-list={key}", f"--window-size={WIDTH},{HEIGHT}",
            f"--screenshot={picture}", url,
        ]  # fmt: skip
        try:
            subprocess.run(command, capture_output=True, timeout=WITHIN, check=False, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return False
    return picture.exists()


def words_of(page: str) -> list[str]:
    """What a person reads on the page."""
    text = _TAG.sub("\n", _UNSEEN.sub("", page))
    return [line for each in unescape(text).splitlines() if (line := each.strip())]
