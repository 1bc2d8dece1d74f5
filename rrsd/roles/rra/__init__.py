"""Resource Retrieval Agent: a durable pull scheduler, the recipient's final store, and the API of the recipient's
client."""
