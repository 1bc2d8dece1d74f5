"""The plugin by which `twistd` and `twist` know rrsd; neither folder above it ever has an `__init__.py`."""

from twisted.application.service import ServiceMaker

rrsd = ServiceMaker("rrsd", "rrsd.tap", "The daemon that replaces the mail attachment", "rrsd")
