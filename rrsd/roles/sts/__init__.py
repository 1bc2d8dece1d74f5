"""The Security Token Service: exchanges what proves a user's or a client's will for a bound delegation."""
