"""Prompts with the answers to learn, as tokens; held out by site, batched by length."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from training.base import Base

MOST_TOKENS = 1536
"""Longer prompts are left out: the product's page prompts have about 430 tokens, its sections seldom more."""

NOT_LEARNED = -100


@dataclass(frozen=True, slots=True)
class Example:
    """``answer`` ends with the stop token; ``kind`` is ``page`` or ``section``."""

    site: str
    kind: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def encode_examples(base: Base, records: Iterable[dict[str, Any]], kind: str) -> list[Example]:
    """The records with ``messages`` and ``target`` as examples; too long ones are left out."""
    examples = []
    for record in records:
        prompt, answer = base.encode_prompt(record["messages"]), base.encode_answer(record["target"])
        example = Example(record["site"], kind, tuple(prompt), tuple(answer))
        if len(example) <= MOST_TOKENS:
            examples.append(example)
    return examples


def held_out(sites: Iterable[str], share: float) -> frozenset[str]:
    """The sites whose pages are for validation, about ``share`` of all; the same for every run.

    ``sites`` has each page's. A site with over a quarter of that is never held out, so that one site does not decide.
    """
    pages = Counter(sites)
    wanted, chosen, taken = share * pages.total(), set(), 0
    for site in sorted(pages, key=lambda site: hashlib.sha256(site.encode()).hexdigest()):
        if taken < wanted and pages[site] <= wanted / 4:
            chosen.add(site)
            taken += pages[site]
    return frozenset(chosen)


def batches(
    examples: Sequence[Example], most_tokens: int, shuffle: random.Random | None
) -> Iterator[list[Example]]:
    """Batches of at most ``most_tokens`` with their padding: neighbours in length, drawn in random order."""
    order = list(examples)
    if shuffle:
        shuffle.shuffle(order)
    found = []
    for start in range(0, len(order), 512):
        batch: list[Example] = []
        for example in sorted(order[start : start + 512], key=len):
            if batch and len(example) * (len(batch) + 1) > most_tokens:
                found.append(batch)
                batch = []
            batch.append(example)
        found.append(batch)
    if shuffle:
        shuffle.shuffle(found)
    yield from found


def padded(batch: Sequence[Example], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens [B, T] padded on the right, where causal attention never looks, and labels [B, T] of the answers."""
    width = max(map(len, batch))
    ids = torch.full((len(batch), width), pad)
    labels = torch.full((len(batch), width), NOT_LEARNED)
    for row, example in enumerate(batch):
        ids[row, : len(example)] = torch.tensor(example.prompt + example.answer)
        labels[row, len(example.prompt) : len(example)] = torch.tensor(example.answer)
    return ids.to(device), labels.to(device)
