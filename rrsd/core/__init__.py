"""What is true: values, grammars and proofs, without I/O, clock or randomness."""
