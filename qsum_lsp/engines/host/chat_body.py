"""The body of a request to ``/v1/chat/completions``, and the request that it is to an engine."""

from typing import Annotated, Literal

import msgspec

from qsum_lsp.engines.protocol import GenerationRequest, Message, Priority

_MAX_TOKENS_WHERE_UNSET = 256


class _Part(msgspec.Struct):
    type: Literal["text"]
    text: str


class _ChatMessage(msgspec.Struct):
    role: Literal["system", "user", "assistant", "developer"]
    content: str | list[_Part]

    def message(self) -> Message:
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Message("system" if self.role == "developer" else self.role, text)


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


_Positive = Annotated[int, msgspec.Meta(ge=1)]


class ChatBody(msgspec.Struct):
    """The fields that matter; decoding is always greedy, so those on sampling are ignored.

    ``source``, ``enough_chars``, ``enough_sentences`` (see GenerationRequest) and ``priority`` (see Priority) are qsum's own and may be left out.
    """

    model: str
    messages: Annotated[list[_ChatMessage], msgspec.Meta(min_length=1)]
    max_tokens: _Positive | None = None
    max_completion_tokens: _Positive | None = None
    stream: bool = False
    stream_options: _StreamOptions | None = None
    n: Literal[1] | None = None
    user: str | None = None
    source: str | None = None
    enough_chars: _Positive | None = None
    enough_sentences: _Positive | None = None
    priority: Annotated[int, msgspec.Meta(ge=0, le=3)] = Priority.BATCH

    def request(self, context_tokens: int) -> GenerationRequest:
        """What is asked of an engine with so long a context."""
        messages = tuple(message.message() for message in self.messages)
        wanted = self.max_completion_tokens or self.max_tokens or _MAX_TOKENS_WHERE_UNSET
        return GenerationRequest(
            messages=messages,
            source=messages[-1].content if self.source is None else self.source,
            max_new_tokens=min(wanted, context_tokens),
            enough_chars=self.enough_chars,
            enough_sentences=self.enough_sentences,
            priority=Priority(self.priority),
        )


_decoder = msgspec.json.Decoder(ChatBody)


def decode_chat_body(data: bytes) -> ChatBody:
    """Raises msgspec.DecodeError and UnicodeDecodeError where ``data`` is no such body."""
    return _decoder.decode(data)
