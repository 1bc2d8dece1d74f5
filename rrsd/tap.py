"""What twistd needs to start rrsd: options, and a service made from them."""
