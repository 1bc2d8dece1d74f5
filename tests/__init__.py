"""Tests; the folders mirror rrsd/.

Examples of Hypothesis have no deadline: how long one takes by the clock on the wall is a fact about the machine and who
else works there, and tests of speed count processor time.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
