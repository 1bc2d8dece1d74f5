"""How this daemon touches the world, one package per driver; drivers do not know each other or the roles."""
