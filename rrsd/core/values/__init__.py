"""The nouns: immutable, valid by construction, equal by value."""
