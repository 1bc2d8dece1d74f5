"""The store, with the power failing at every call, and what it promised held against what is left."""
