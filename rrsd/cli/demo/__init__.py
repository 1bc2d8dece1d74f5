"""`rrsctl demo`: two domains, one message, one crash, nothing lost."""
