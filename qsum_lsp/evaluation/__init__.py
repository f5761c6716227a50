"""How good are the summaries? Measured against descriptions that people wrote; needs the extra ``eval``."""
