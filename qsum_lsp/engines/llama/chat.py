"""Chats as tokens: the template's own tokens around texts that can never become special tokens."""

from collections import OrderedDict
from collections.abc import Sequence

from qsum_lsp.engines.llama.client import LlamaClient
from qsum_lsp.engines.protocol import EngineFailed, Message

_SYSTEM_TEXTS_KEPT = 16


class ChatEncoder:
    """Encodes chats for one server; templates and system messages are remembered.

    The template is rendered around placeholders and the texts are tokenized apart from it. So a document that
    contains ``<|im_end|>`` stays text, and equal beginnings of two chats are equal token for token.
    """

    def __init__(self, client: LlamaClient) -> None:
        self._client = client
        self._templates: dict[tuple[str, ...], list[list[int]]] = {}
        self._system_texts: OrderedDict[str, list[int]] = OrderedDict()

    async def encode(self, messages: Sequence[Message]) -> tuple[list[int], int]:
        """The tokens of the whole prompt, and how many of them come before the text of the last message."""
        if not messages:
            raise EngineFailed("a request needs at least one message")
        around = await self._template(tuple(message.role for message in messages))
        tokens = list(around[0])
        shared = 0
        for message, after in zip(messages, around[1:], strict=True):
            shared = len(tokens)
            tokens += await self._text(message)
            tokens += after
        return tokens, shared

    async def _template(self, roles: tuple[str, ...]) -> list[list[int]]:
        if roles not in self._templates:
            marks = [f"qsum-text-{number}-end" for number in range(len(roles))]
            rest = await self._client.apply_template(
                [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
            )
            parts = []
            for mark in marks:
                before, found, rest = rest.partition(mark)
                if not found:
                    raise EngineFailed("the model's chat template leaves out or reorders messages")
                parts.append(before)
            self._templates[roles] = [
                await self._client.tokenize(part, special=True) if part else [] for part in [*parts, rest]
            ]
        return self._templates[roles]

    async def _text(self, message: Message) -> list[int]:
        if message.role != "system":
            return await self._client.tokenize(message.content, special=False)
        known = self._system_texts.get(message.content)
        if known is None:
            known = await self._client.tokenize(message.content, special=False)
            self._system_texts[message.content] = known
            if len(self._system_texts) > _SYSTEM_TEXTS_KEPT:
                self._system_texts.popitem(last=False)
        return known
