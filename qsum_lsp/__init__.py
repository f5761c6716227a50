"""Summaries for every section of a Markdown document."""

__version__ = "0.1.0"
