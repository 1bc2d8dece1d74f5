"""Real mail servers with rrsd between them, on loopback (`make mail`).

The modules are not named `test_…`: `make test` needs no mail server, and here no test is skipped.
`python -m tests.mail` runs them and prints what was shown.
"""
