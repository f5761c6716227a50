"""Plain text: sentences and words, for every part that measures or cuts prose."""
