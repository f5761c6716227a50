"""Markdown that several tests open."""

PROSE = "The importer reads each record once and keeps its position, so that a broken file can be continued later. "


def page(sections: int) -> str:
    """A page of ``sections`` sections; the text of each begins with "Part " and its number."""
    words = " ".join(f"word{index} is said here and means something of its own." for index in range(5))
    return "".join(f"# Heading {index}\n\nPart {index}: {words}\n\n" for index in range(sections))
