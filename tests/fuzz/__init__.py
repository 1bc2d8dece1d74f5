"""Every parser against inputs that nobody meant; apart from tests.core, where each line costs the time to count it."""
