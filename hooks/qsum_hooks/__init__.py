"""Entry points for pre-commit."""
