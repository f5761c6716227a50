"""Settings: their values and where they come from."""
