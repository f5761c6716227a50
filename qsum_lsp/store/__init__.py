"""The cache of summaries on disk."""
