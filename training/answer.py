"""Answer prompts in batches. Usage: ``python -m training.answer MODEL.gguf prompts.jsonl answers.jsonl [--adapter FILE]``.

A prompt has ``id`` and ``messages``; an answer ``id``, ``text``, ``finish`` and ``logprob``, the sum over its tokens and the
stop token. With ``--samples N`` each prompt gets N answers drawn at ``--temperature``.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from training.base import Base
from training.examples import read_records

MOST_TOKENS = 200_000  # of prompts and answers in one batch
MOST_ROWS = 384
MOST_SCORED = 16_384

Record = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--samples", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--new-tokens", type=int, default=96)
    args = parser.parse_args()
    base = Base.load(args.model, adapter=args.adapter)
    torch.manual_seed(0)
    records = read_records(args.prompts)
    with args.answers.open("w", encoding="utf-8") as sink:
        for answered in answers(base, records, args.new_tokens, args.samples, args.temperature):
            kept = {key: value for key, value in answered.items() if key not in ("messages", "ids", "tokens")}
            sink.write(json.dumps(kept, ensure_ascii=False) + "\n")
            sink.flush()


def answers(
    base: Base, records: Sequence[Record], new_tokens: int, samples: int = 0, temperature: float = 0.8
) -> Iterator[Record]:
    """Each record with its answer, or with ``samples`` answers, in the order of the prompts' lengths."""
    encoded = [record | {"ids": base.encode_prompt(record["messages"])} for record in records]
    encoded = sorted(encoded, key=lambda record: -len(record["ids"]))
    each = max(1, samples)
    at = 0
    while at < len(encoded):
        rows = MOST_TOKENS // (len(encoded[at]["ids"]) + new_tokens)
        batch = encoded[at : at + max(1, min(MOST_ROWS, rows) // each)]
        at += len(batch)
        made = list(_generate(base, batch, new_tokens, samples, temperature))
        yield from _scored(base, made)


@torch.inference_mode()
def _generate(
    base: Base, batch: Sequence[Record], new_tokens: int, samples: int, temperature: float
) -> Iterator[Record]:
    width = max(len(record["ids"]) for record in batch)
    pad = base.end
    ids = torch.full((len(batch), width), pad)  # [B, T], padded on the left
    mask = torch.zeros_like(ids)
    for row, record in enumerate(batch):
        ids[row, width - len(record["ids"]) :] = torch.tensor(record["ids"])
        mask[row, width - len(record["ids"]) :] = 1
    chosen: Record = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    if samples:
        chosen = {"do_sample": True, "temperature": temperature, "top_p": 0.95, "top_k": 0}
        chosen["num_return_sequences"] = samples
    made = base.model.generate(
        input_ids=ids.to(base.model.device),
        attention_mask=mask.to(base.model.device),
        max_new_tokens=new_tokens,
        repetition_penalty=1.0,
        eos_token_id=list(base.stops),
        pad_token_id=pad,
        **chosen,
    )[:, width:].tolist()  # [B * samples, N]
    for row, tokens in enumerate(made):
        end = next((place for place, token in enumerate(tokens) if token in base.stops), len(tokens))
        text = base.chat.answer_text()
        text.add(tokens[:end])
        yield batch[row // max(1, samples)] | {
            "sample": row % max(1, samples),
            "text": str(text),
            "finish": "stop" if end < len(tokens) else "length",
            "tokens": tokens[: end + 1],
            "new_tokens": end,
        }


@torch.inference_mode()
def _scored(base: Base, records: Sequence[Record]) -> Iterator[Record]:
    """The records with ``logprob``, by one pass over prompt and answer."""
    at = 0
    while at < len(records):
        batch = records[at : at + max(1, MOST_SCORED // (len(records[at]["ids"]) + 96))]
        at += len(batch)
        width = max(len(record["ids"]) + len(record["tokens"]) for record in batch)
        ids = torch.full((len(batch), width), base.end)
        for row, record in enumerate(batch):
            full = record["ids"] + record["tokens"]
            ids[row, : len(full)] = torch.tensor(full)
        ids = ids.to(base.model.device)
        states = base.model.model(input_ids=ids, use_cache=False).last_hidden_state
        for row, record in enumerate(batch):
            begin, count = len(record["ids"]), len(record["tokens"])
            logits = base.model.lm_head(states[row, begin - 1 : begin - 1 + count]).float()
            answer = ids[row, begin : begin + count, None]
            logprob = torch.log_softmax(logits, -1).gather(1, answer).sum().item()
            yield record | {"logprob": round(logprob, 3), "prompt_tokens": begin}


if __name__ == "__main__":
    main()
