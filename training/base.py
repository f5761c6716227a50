"""The model that an adapter is trained for: the catalogue's GGUF file as the torch engine reads it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from qsum_lsp.engines.protocol import Message
from qsum_lsp.engines.torch.adapter import AdapterWeights
from qsum_lsp.engines.torch.shape import read_config, stop_ids
from qsum_lsp.engines.torch.source import convert_gguf
from qsum_lsp.engines.torch.tokenizer import ChatTokenizer


@dataclass(frozen=True, slots=True)
class Base:
    """A model of transformers in bfloat16, and its tokens. ``end`` ends an answer; so does each of ``stops``."""

    model: Any
    chat: ChatTokenizer
    tokenizer: Tokenizer
    end: int
    stops: tuple[int, ...]

    @classmethod
    def load(cls, path: Path, *, adapter: Path | None = None) -> "Base":
        """Load a GGUF file, converting it where that was not done before, or a folder. An adapter is added to the weights."""
        folder = convert_gguf(path) if path.suffix == ".gguf" else path
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to(device).eval()
        if adapter is not None:
            weights = AdapterWeights(adapter)
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    parameter.copy_(weights.merged(name, parameter))
        chat = ChatTokenizer(folder)
        stops = stop_ids(folder, read_config(folder))
        end = chat.id_of("<|im_end|>")
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return cls(model, chat, tokenizer, stops[0] if end is None else end, stops)

    def encode_prompt(self, messages: list[dict[str, str]]) -> list[int]:
        """The prompt of a chat, up to where the answer begins, as the product's engines send it."""
        return self.chat.encode_chat([Message(**message) for message in messages])  # type: ignore[arg-type]

    def encode_answer(self, text: str) -> list[int]:
        """An answer to be learned, with its end."""
        return [*self.tokenizer.encode(text, add_special_tokens=False).ids, self.end]
