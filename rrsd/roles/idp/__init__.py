"""The embedded OpenID Provider: logs the domain's own users in and issues their tokens."""
