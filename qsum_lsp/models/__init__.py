"""Model files: the catalogue, where they come from, and how they get here."""
