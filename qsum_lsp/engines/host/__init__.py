"""The shared engine: one process that owns a model and serves every client of this user on this machine."""
