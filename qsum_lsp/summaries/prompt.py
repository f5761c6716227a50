"""The prompt: the one place where qsum's words to the model stand, and their version."""

from collections.abc import Sequence
from dataclasses import dataclass

from qsum_lsp.engines.protocol import Message

PROMPT_VERSION = "1"
"""Part of every key: change it with any change that can change an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptInput:
    """What the model is told about one section, a chunk of one, or the page.

    ``headings`` is the path of titles down to this section, the page's own title first; ``markdown`` the text
    to summarise; ``parts`` the summaries of its parts (children or chunks) where it is too long for one
    prompt, as (title, summary) pairs, and then ``markdown`` is only the text that no part covers.
    ``feedback`` names what the grounding check refused in a first answer, on a second try.
    """

    headings: tuple[str, ...]
    markdown: str
    max_chars: int
    is_page: bool = False
    parts: Sequence[tuple[str, str]] = ()
    page_style: str = ""
    feedback: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Messages for the engine; ``source`` is the plain text that the answer must be true to."""

    messages: tuple[Message, ...]
    source: str
    max_new_tokens: int


def build_prompt(prompt_input: PromptInput) -> Prompt:
    """The prompt for ``prompt_input``. All prompts share the longest possible beginning, so it is prefilled once."""
    raise NotImplementedError
