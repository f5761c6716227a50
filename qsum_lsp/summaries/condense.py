"""A page cut down to what its summary needs: how it begins, and the headings of the rest."""

import re

from qsum_lsp.document import Block, split_blocks

_CODE_LINES = 2
_CODE_LINE_CHARS = 100
_TABLE_ROWS = 3
_HEADING_CHARS = 200
_MOST_HEADINGS_SHOWN = 100  # among the first words, for a page that is hardly more than headings
_MOST_HEADINGS = 30
_UNSPACED_CHARS_A_WORD = 2  # Chinese or Japanese characters that count as a word
_ALPHABETIC_CHARS_A_WORD = 4  # letters of the scripts below
_UNSPACED_LETTERS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")  # Thai, Lao, Myanmar, Khmer
_LONGEST_WORD = 150  # characters; what is longer is data
_DATA_CHARS_A_WORD = 20


def condense(markdown: str, *, max_words: int) -> str:
    """The first ``max_words`` words that a reader of ``markdown`` sees, then the headings that follow them.

    Code is cut to its first lines, a table to its first rows. The longest pages cost as much as short ones.
    """
    shown: list[str] = []
    headings: list[str] = []
    left = max_words
    begun = 0
    for block in split_blocks(markdown):
        if block.kind == "heading":
            heading = block.text[:_HEADING_CHARS]
            if left > 0 and begun < _MOST_HEADINGS_SHOWN:
                shown.append(f"{'#' * block.level} {heading}")
                begun += 1
            elif len(headings) < _MOST_HEADINGS:
                headings.append(heading)
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
    sizes = [_size(word) for word in words]
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


def _size(word: str) -> int:
    """As how many words what stands between two blanks counts."""
    size = 1 if len(word) <= _LONGEST_WORD else len(word) // _DATA_CHARS_A_WORD
    if not word.isascii():
        size += sum(ord(character) > 0x2E80 for character in word) // _UNSPACED_CHARS_A_WORD
        size += len(_UNSPACED_LETTERS.findall(word)) // _ALPHABETIC_CHARS_A_WORD
    return size
