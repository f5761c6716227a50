"""The language server: hovers, code actions, lenses and commands over the summariser."""
