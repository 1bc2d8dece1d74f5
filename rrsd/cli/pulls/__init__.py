"""`rrsctl pulls`: what is being pulled, why it waits, and how to change that."""
