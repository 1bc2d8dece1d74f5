"""curl with a client certificate: a delegation from the STS, then the resource in one, in parts, and resumed."""

import json
import re
import uuid
from urllib.parse import urlencode

from typing_extensions import override

from rrsd.core.values.digests import Digest
from rrsd.core.wire.fields import ni_path
from tests.interop.case import BAR, BOB, FOO, InteropCase
from tests.processes.houses import SENDER, sum_of

SIZE = 3_000_000
TYPE = "urn:ietf:params:oauth:token-type"


class Retrieval(InteropCase):
    """bob of bar.test was sent a file by alice of foo.test; curl has the certificate of bar.test's agent."""

    def begin(self, size: int) -> None:
        """Start both, send the file, and get a delegation for it."""
        self.start()
        alice, password = self.settle(SENDER), self.add_user(BOB)
        _, (self.file,) = self.send(alice, size)
        self.url = f"https://{FOO}{ni_path(Digest(bytes.fromhex(self.file.sha256)))}"
        self.out = self.root / "copy"
        self.token = self._delegation(self.log_in(f"https://{BAR}", BOB, password)["access_token"])

    def _delegation(self, access_token: str) -> str:
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "client_id": f"_rra.{BAR}",
            "subject_token": access_token,
            "subject_token_type": f"{TYPE}:access_token",
            "resource": f"https://{FOO}",
        }
        done = self.curl("--fail-with-body", "--data", urlencode(form), f"https://{BAR}/token", program=self.agent(BAR))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        token: str = json.loads(done.stdout)["access_token"]
        self.secrets.add(token)
        self.did("curl", "delegation from the STS by a form over mTLS")
        return token

    def get(self, *words: str, is_proved: bool = True) -> str:
        """The status of the resource with these options."""
        program = self.agent(BAR) if is_proved else None
        done = self.curl(
            "-w", "%{http_code}", "-H", f"Authorization: Bearer {self.token}", *words, self.url, program=program
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.decode()

    def status(self) -> str:
        """The status of the resource."""
        return self.get("-o", str(self.out))


class Curl(Retrieval):
    """The resource, in whatever ways curl asks for it."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.begin(SIZE)

    def require_copy(self) -> None:
        """The copy is the file."""
        self.assertEqual(self.out.stat().st_size, SIZE)
        self.assertEqual(sum_of(self.out), self.file.sha256)

    def test_whole(self) -> None:
        """The whole resource, byte for byte; without the certificate the same token is worth nothing."""
        self.assertEqual(self.status(), "200")
        self.require_copy()
        self.assertEqual(self.get("-o", str(self.root / uuid.uuid4().hex), is_proved=False), "401")
        self.did("curl", "resource with delegation and certificate, byte for byte; 401 without the certificate")

    def test_ranges(self) -> None:
        """Ranges: the middle, the last bytes, and 416 for one that is not there (RFC 9110 14)."""
        whole = self.file.path.read_bytes()
        for words, wanted in (("1000-1999", whole[1000:2000]), ("-500", whole[-500:]), ("0-0", whole[:1])):
            self.assertEqual(self.get("-r", words, "-o", str(self.out)), "206")
            self.assertEqual(self.out.read_bytes(), wanted)
        self.assertEqual(self.get("-r", f"{SIZE}-", "-o", str(self.out)), "416")
        self.did("curl", "ranges, and 416 for one beyond the end")

    def test_resume(self) -> None:
        """A copy that broke off is completed (`-C -`), and If-Range takes part of the same representation only."""
        self.out.write_bytes(self.file.path.read_bytes()[: SIZE // 3])
        self.assertEqual(self.get("-C", "-", "-o", str(self.out)), "206")
        self.require_copy()
        head = self.root / "head"
        self.assertEqual(self.get("-I", "-D", str(head), "-o", str(self.root / "nothing")), "200")
        etags = re.findall(r"^etag: (\S+)$", head.read_text(), re.IGNORECASE | re.MULTILINE)
        for etag, status in ((etags[0], "206"), ('"another"', "200")):
            self.assertEqual(self.get("-r", "0-9", "-H", f"If-Range: {etag}", "-o", str(self.out)), status)
        self.did("curl", "resumed a copy (-C -), If-Range")
