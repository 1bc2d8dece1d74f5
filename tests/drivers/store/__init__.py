"""The store and its twin in memory, held to one contract."""
