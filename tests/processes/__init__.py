"""Real processes over real sockets: few, each with a deadline."""
