"""Which prompt makes the best page summaries: variants, generation on a GPU, scores.

1. ``python -m benchmarks.prompts.variants prompts.jsonl`` writes every variant's prompt for every page.
2. ``python benchmarks/prompts/generate.py MODEL prompts.jsonl answers.jsonl`` answers them (torch, transformers).
3. ``python -m benchmarks.prompts.score answers.jsonl --embeddings MODEL`` prints a table.
"""
