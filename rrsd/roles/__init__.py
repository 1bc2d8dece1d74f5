"""What this daemon is on the network, one package per role; roles do not know each other or the drivers."""
