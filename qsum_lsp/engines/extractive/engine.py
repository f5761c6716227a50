"""The extractive engine: instant, deterministic, in every language that sentences can be told apart in."""

import re
import sys
import time
from collections.abc import Sequence

from qsum_lsp.engines.protocol import Completion, EngineIdentity, EngineStatus, GenerationRequest, OnText
from qsum_lsp.errors import EngineUnavailable
from qsum_lsp.text.extract import CUT, EXTRACT_VERSION, best_sentence
from qsum_lsp.text.language import guess_language
from qsum_lsp.text.words import words

_BLANK_LINES = re.compile(r"\n\s*\n")

# What a token holds on average in English prose; the limit of an answer comes in tokens.
_CHARACTERS_PER_TOKEN = 4


class ExtractiveEngine:
    """Implements ``Engine`` from ``request.source`` alone: plain text, paragraphs parted by blank lines."""

    def __init__(self) -> None:
        self._closed = False
        self._identity = EngineIdentity(
            name="extractive",
            model="none",
            fingerprint=f"extractive-{EXTRACT_VERSION}",
            context_tokens=sys.maxsize,
        )

    @property
    def identity(self) -> EngineIdentity:
        return self._identity

    def status(self) -> EngineStatus:
        return EngineStatus(state="unloaded" if self._closed else "ready", device="no model")

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        self._check_open()
        return [len(words(text)) for text in texts]

    async def generate(self, request: GenerationRequest, *, on_text: OnText | None = None) -> Completion:
        self._check_open()
        started = time.monotonic()
        text = best_sentence(
            _BLANK_LINES.split(request.source),
            max_chars=max(request.max_new_tokens, 0) * _CHARACTERS_PER_TOKEN,
            language=guess_language(request.source),
        )
        if text and on_text is not None:
            on_text(text)
        return Completion(
            text=text,
            finish_reason="length" if text.endswith(CUT) else "stop",
            prompt_tokens=len(words(request.source)),
            new_tokens=len(words(text)),
            seconds=time.monotonic() - started,
        )

    async def aclose(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise EngineUnavailable("The engine is closed.")
