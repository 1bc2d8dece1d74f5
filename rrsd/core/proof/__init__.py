"""Claims become evidence here: parsed input, keys and the time in, a witness value or a refusal out."""
