"""`make demo-mail`: real mail servers, ordinary mail programs, and attachments that no mail carries.

It stands beside the tests and not in `rrsctl demo`, since it needs root and other people's servers, and invents
configurations for them: the fixture of `make mail`, which an installed rrsd has no use for.
"""
