"""The commands: they parse flags, build, and call."""
