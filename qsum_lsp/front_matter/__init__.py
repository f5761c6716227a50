"""Summaries in front matter: their state, and changing one key without changing another byte."""
