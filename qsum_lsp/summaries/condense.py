"""A page cut down to what its summary needs: how it begins, and the headings of the rest."""

from qsum_lsp.document import Block, split_blocks

_CODE_LINES = 2
_CODE_LINE_CHARS = 100
_TABLE_ROWS = 3
_MOST_HEADINGS = 30
_UNSPACED_CHARS_A_WORD = 2  # Chinese or Japanese characters that count as a word


def condense(markdown: str, *, max_words: int) -> str:
    """The first ``max_words`` words that a reader of ``markdown`` sees, then the headings that follow them.

    Code is cut to its first lines, a table to its first rows. The longest pages cost as much as short ones.
    """
    shown: list[str] = []
    headings: list[str] = []
    left = max_words
    for block in split_blocks(markdown):
        if block.kind == "heading":
            if left > 0:
                shown.append(f"{'#' * block.level} {block.text}")
            elif len(headings) < _MOST_HEADINGS:
                headings.append(block.text)
        elif left > 0:
            text, used = _cut(_shortened(block), left)
            left -= used
            shown.append(f"- {text}" if block.kind == "list_item" else text)
    if headings:
        shown.append(f"Further headings: {'; '.join(headings)}")
    return "\n".join(shown)


def _shortened(block: Block) -> str:
    if block.kind == "code":
        return "\n".join(line[:_CODE_LINE_CHARS] for line in block.text.splitlines()[:_CODE_LINES])
    if block.kind == "table":
        return "\n".join(block.text.splitlines()[:_TABLE_ROWS])
    return block.text


def _cut(text: str, most: int) -> tuple[str, int]:
    """``text`` in at most ``most`` words, and how many it has."""
    words = text.split()
    sizes = [
        1 + sum(ord(character) > 0x2E80 for character in word) // _UNSPACED_CHARS_A_WORD for word in words
    ]
    total = sum(sizes)
    if total <= most:
        return text, total
    kept = ""
    for word, size in zip(words, sizes, strict=True):
        if size > most:
            kept += f" {word[: most * _UNSPACED_CHARS_A_WORD]}" if size > 1 else ""
            break
        kept += f" {word}"
        most -= size
    return f"{kept.strip()} …", total
