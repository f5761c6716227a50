"""Training of the adapters that are installed with qsum; see README.md."""
