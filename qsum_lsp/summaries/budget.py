"""How many tokens of text one prompt can take."""

from dataclasses import dataclass

from qsum_lsp.summaries.nodes import byte_length
from qsum_lsp.summaries.prompt import PromptInput, build_prompt

_MARGIN = 64  # tokens: the chat template, and what counting text and prompt apart gets wrong
_SHARE = 0.8  # of what is left; longer text is cut, since answers get worse near the end of the context
_MOST_BYTES_A_TOKEN = 16

LEAST_TOKENS = 32
"""No chunk is made smaller; an engine with less room has to say that it is too long."""


@dataclass(frozen=True, slots=True)
class Room:
    """The room for text beside the words of the prompt.

    ``tokens`` may be used; ``exact`` is False where the prompt was only measured in bytes, of which there are at
    least as many as tokens, and there is more room than ``tokens``.
    """

    tokens: int
    exact: bool

    def verdict(self, size: int) -> bool | None:
        """Whether ``size`` bytes of text fit, or None where only counting tells."""
        if size <= self.tokens:
            return True
        if self.exact and size > self.tokens * _MOST_BYTES_A_TOKEN:
            return False
        return None


@dataclass(frozen=True, slots=True)
class Frame:
    """The prompt without any text: ``words`` is what it says."""

    words: str
    max_new_tokens: int

    def room(self, context_tokens: int, prompt_tokens: int | None = None) -> Room:
        """The room beside ``prompt_tokens``, or beside the most that the words can be where that is None."""
        used = byte_length(self.words) if prompt_tokens is None else prompt_tokens
        free = context_tokens - used - self.max_new_tokens - _MARGIN
        if prompt_tokens is None:
            return Room(int(_SHARE * free), exact=False)
        return Room(max(LEAST_TOKENS, int(_SHARE * free)), exact=True)


def frame(*, max_chars: int, is_page: bool, page_style: str) -> Frame:
    """The prompt of a section or the page before any text is in it."""
    prompt = build_prompt(
        PromptInput(headings=(), markdown="", max_chars=max_chars, is_page=is_page, page_style=page_style)
    )
    return Frame(
        words="\n".join(message.content for message in prompt.messages),
        max_new_tokens=prompt.max_new_tokens,
    )
