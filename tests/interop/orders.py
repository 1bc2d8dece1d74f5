"""curl with a certificate and a delegation at an API that is not rrsd's own: examples/orders_api.py."""

import json

from typing_extensions import override

from tests.interop.case import BAR, BOB, InteropCase
from tests.processes.orders import API, OrdersApi


class Orders(InteropCase):
    """bob of bar.test is spoken for by bar.test at an API that neither knows bar.test nor has users."""

    @override
    def setUp(self) -> None:
        super().setUp()
        plan = self.stand_in(API)
        self.orders = OrdersApi(self.root, plan, self.ports[API], f"{BAR} = 127.0.0.1 {self.bar.port}")
        self.start(self.bar)
        self.add_user(BOB)
        self.orders.start()
        self.addCleanup(self.orders.end)
        self.until("the API listens", self.orders.listens)

    def test_orders(self) -> None:
        """The very words that `rrsctl delegate` prints: bob's orders; without the certificate, 401."""
        place = self.root / "bob.header"
        words = ("delegate", "--user", BOB, "--resource", f"https://{API}", "--header", str(place))
        self.assertEqual(self.rrsctl(self.bar, *words), (0, ""))
        self.secrets.add(place.read_text().strip().removeprefix("Authorization: Bearer "))
        url = f"https://{API}/orders"
        done = self.curl("--fail-with-body", "-H", f"@{place}", url, program=self.agent(BAR))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads(done.stdout), {"user": BOB, "client": f"_rra.{BAR}", "orders": []})
        bare = self.curl("-o", str(self.root / "body"), "-w", "%{http_code}", "-H", f"@{place}", url)
        self.assertEqual(bare.stdout, b"401")
        self.did("curl", "a third party's API with a delegation from rrsctl delegate; 401 without the certificate")
