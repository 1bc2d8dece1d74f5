"""What happens to a message on each of its two ways."""
