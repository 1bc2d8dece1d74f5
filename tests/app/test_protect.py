"""The one module that others may import keeps its names (docs/developer/compatibility.rst)."""

from twisted.trial.unittest import SynchronousTestCase

import rrsd.protect

PROMISED = """
ApiSettings Build Caller Conflict Forbidden Klein Malformed Outside Policy ProtectedApi ProtectedResource Protection
Refusal Router Strength TooMany Unknown answer caller_of make_api parse_api_settings protect read_object run
"""


class Surface(SynchronousTestCase):
    """`rrsd.protect`."""

    def test_names(self) -> None:
        """None goes without its year of warning; a new one is promised here."""
        self.assertEqual(sorted(rrsd.protect.__all__), sorted(PROMISED.split()))
        self.assertEqual([name for name in PROMISED.split() if not hasattr(rrsd.protect, name)], [])
