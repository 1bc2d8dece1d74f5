"""The only room that holds private keys: load, sign, rotate."""
