"""Chat messages to token ids and back, without importing transformers (its import alone takes seconds)."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from qsum_lsp.engines.protocol import EngineFailed, Message
from qsum_lsp.errors import EngineUnavailable

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}<|im_start|>assistant\n"
)


class ChatTokenizer:
    """The tokenizer and the chat template of a model folder."""

    def __init__(self, folder: Path) -> None:
        file = folder / "tokenizer.json"
        if not file.exists():
            raise EngineUnavailable(
                f"{folder} has no tokenizer.json; save the model with its fast tokenizer."
            )
        self._tokenizer = Tokenizer.from_file(str(file))
        config_file = folder / "tokenizer_config.json"
        config: dict[str, Any] = {}
        if config_file.exists():
            config = json.loads(config_file.read_text(encoding="utf-8"))
        separate = folder / "chat_template.jinja"
        template = separate.read_text(encoding="utf-8") if separate.exists() else config.get("chat_template")
        if isinstance(template, list):
            template = {entry["name"]: entry["template"] for entry in template}.get("default")
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda form: datetime.now().astimezone().strftime(form)
        environment.filters["tojson"] = lambda value, **kw: json.dumps(value, ensure_ascii=False, **kw)
        self._template = environment.from_string(template or CHATML)
        self._special = {
            name: config[name]["content"] if isinstance(config[name], dict) else config[name]
            for name in ("bos_token", "eos_token", "pad_token", "unk_token")
            if config.get(name)
        }

    def encode_chats(self, chats: Sequence[Sequence[Message]]) -> list[list[int] | EngineFailed]:
        """Ids of whole prompts, ready for the answer; a thinking model is told not to think.

        In place of a chat that the template refuses, or whose text is no Unicode, stands its failure.
        """
        found: list[list[int] | EngineFailed] = []
        texts: list[str] = []
        for messages in chats:
            chat = [{"role": message.role, "content": message.content} for message in messages]
            try:
                text = self._template.render(
                    messages=chat, add_generation_prompt=True, enable_thinking=False, **self._special
                )
                text.encode()
            except UnicodeEncodeError as error:
                found.append(EngineFailed(f"The text is not valid Unicode: {error}"))
            except Exception as error:  # a template is a program, and fails in any way
                found.append(EngineFailed(f"The model's chat template refuses the messages: {error}"))
            else:
                found.append([])
                texts.append(text)
        encoded = iter(self._tokenizer.encode_batch_fast(texts, add_special_tokens=False))
        return [next(encoded).ids if entry == [] else entry for entry in found]

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """Ids of one whole prompt. Raises EngineFailed."""
        (found,) = self.encode_chats([messages])
        if isinstance(found, EngineFailed):
            raise found
        return found

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens not counted."""
        return [
            len(encoded.ids)
            for encoded in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        ]

    def answer_text(self) -> "AnswerText":
        """The text of an answer that has no tokens yet."""
        return AnswerText(self._tokenizer)

    def shares_ids(self, other: "ChatTokenizer") -> bool:
        """True where ``other`` knows nearly all tokens, by the same ids; models of one family differ in unused ones."""
        mine, theirs = self._tokenizer.get_vocab(), other._tokenizer.get_vocab()
        common = mine.keys() & theirs.keys()
        return len(common) > 0.9 * len(mine) and all(mine[token] == theirs[token] for token in common)

    def id_of(self, token: str) -> int | None:
        """The id of a token, or None."""
        number: int | None = self._tokenizer.token_to_id(token)
        return number


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


class AnswerText:
    """The text of a growing answer, without special tokens.

    Kept up to date while the device works: hundreds of answers can end in one step, and nobody should wait then.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._pieces: list[str] = []

    def add(self, ids: Sequence[int]) -> str:
        """The text that ``ids`` add, which never ends inside a character."""
        # one by one: a step that ends inside a character keeps all of its tokens back
        piece = "".join(map(self._step, ids))
        self._pieces.append(piece)
        return piece

    def _step(self, token: int) -> str:
        try:
            return self._stream.step(self._tokenizer, token) or ""
        except Exception:  # tokens of single bytes that are no UTF-8 contradict what was taken for their text
            self._stream = DecodeStream(skip_special_tokens=True)
            return self._stream.step(self._tokenizer, token) or ""

    def __str__(self) -> str:
        return "".join(self._pieces)
