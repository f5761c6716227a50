"""What a page's summary is made from, and by which strategy: each way on the same pages, with one loaded model.

1. ``python -m benchmarks.strategies.generate MODEL PAGES OUT`` writes the predictions of each way (torch engine, no other packages).
2. ``python -m training.answer MODEL OUT/prompts.jsonl OUT/samples.jsonl --samples 8`` draws several answers to one prompt.
3. ``python -m benchmarks.strategies.score PAGES OUT`` prints the table.
"""
