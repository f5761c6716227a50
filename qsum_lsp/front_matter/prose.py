"""Is there anything to summarise? A cheap look, because a check asks it of every page without a summary."""

import re

_WORDS_NEEDED = 3
_CHARACTERS_READ = 200_000
_NOT_PROSE = re.compile(
    r"""
    ^[ ]{0,3}((?>`{3,})(?![^`\n]*`)|~{3,}).*?(?:^[ ]{0,3}\1[`~]*[ \t]*$|\Z)  # fenced code
    | <!--.*?(?:-->|\Z)
    | \{\{.{0,299}?\}\} | \{%.{0,299}?%\}                # shortcodes and templates
    # Underlined headings: no lists, quotations, tables and markup above a line; what is indented may be a list's.
    | (?:^(?!(?:[-*+]|\d{1,9}[.)]|\#{1,6})[ \t\n]|(?:[-*_][ \t]*){3,}$|[>|]|`{3,}[^`\n]*$|~{3}|<[/!?A-Za-z])\S[^\n]*\n){1,9}?
        [ ]{0,3}(?:=+|-+)[ \t]*$
    # Code in a line: words to read, in which nothing is markup.
    | (?P<inline_code>(?<![`\\])(?P<ticks>`+)(?!`)
        (?:[^\n]|\n(?![ \t]*(?:[\n\#<~]|`{3}))){1,299}?(?<!`)(?P=ticks)(?!`))
    | <[/!?A-Za-z][^>]{0,299}>
    | ^(?:import|export)[ ][^\n]*$                           # MDX
    | ^[ ]{0,3}\[[^\]\n]+\]:[^\n]*$                          # link definitions
    | !\[[^\]\n]{0,299}\](?:\([^)\n]{0,299}\)|\[[^\]\n]{0,299}\])?             # images
    | ^[ ]{0,3}\#{1,6}(?:[ \t][^\n]*)?$           # headings
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
_WORD = re.compile(r"[^\W\d_]+")
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
)


def has_prose(body: str) -> bool:
    """True where ``body`` has words outside headings, blocks of code, comments, images and templates."""
    body = body[:_CHARACTERS_READ].replace("\r\n", "\n").replace("\r", "\n")
    found = 0
    position = 0
    while position < len(body):
        skipped = _NOT_PROSE.search(body, position)
        end = len(body)
        if skipped is not None:
            end = skipped.end() if skipped["inline_code"] else skipped.start()
        for match in _WORD.finditer(body, position, end):
            # Scripts without spaces write several words as one run of letters.
            found += len(match.group()) if _UNSPACED.search(match.group()) else 1
            if found >= _WORDS_NEEDED:
                return True
        position = skipped.end() if skipped else end
    return False
