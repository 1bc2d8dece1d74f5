"""Mail servers on this host: messages come in from them and go back to them, streamed."""
