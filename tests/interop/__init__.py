"""Strangers as peers: published OAuth, JOSE, HTTP and DNS software against real daemons on loopback (`make interop`).

The modules are not named `test_…`: `make test` needs no peer, and here no test is skipped. `python -m tests.interop`
runs them and prints who did what.
"""
