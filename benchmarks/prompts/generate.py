"""Answer prompts in batches, greedily, and keep each token's log-probability.

Usage: ``python generate.py MODEL_FOLDER prompts.jsonl answers.jsonl``. Needs torch and transformers alone.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

MOST_ROWS = 192
MOST_TOKENS = 160_000
ROOM = 60  # tokens of an answer

Item = dict[str, Any]


def main(folder: str, prompts: str, answers: str) -> None:
    """Answer first what needs no other answer, then what shortens a draft."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to(device).eval()
    items = [json.loads(line) for line in Path(prompts).read_text("utf-8").splitlines()]
    texts: dict[tuple[str, str], str] = {}
    with open(answers, "w", encoding="utf-8") as sink:
        for chained in (False, True):
            due = [item for item in items if ("after" in item) == chained]
            for item in due:
                if chained:
                    draft = texts[item["after"], item["id"]].strip()
                    for message in item["messages"]:
                        message["content"] = message["content"].replace("@@DRAFT@@", draft)
                text = tokenizer.apply_chat_template(
                    item["messages"], tokenize=False, add_generation_prompt=True
                )
                item["ids"] = tokenizer(text, add_special_tokens=False)["input_ids"]
            for batch in batches(due):
                started = time.perf_counter()
                for record in answer(model, tokenizer, batch):
                    texts[record["variant"], record["id"]] = record["text"]
                    sink.write(json.dumps(record, ensure_ascii=False) + "\n")
                print(len(batch), "answers in", round(time.perf_counter() - started, 2), "s", flush=True)


def batches(items: list[Item]) -> Iterator[list[Item]]:
    """Prompts of like length together, the longest first."""
    ordered = sorted(items, key=lambda item: -len(item["ids"]))
    at = 0
    while at < len(ordered):
        size = max(1, min(MOST_ROWS, MOST_TOKENS // (len(ordered[at]["ids"]) + ROOM)))
        yield ordered[at : at + size]
        at += size


@torch.inference_mode()
def answer(model: Any, tokenizer: Any, batch: list[Item]) -> Iterator[Item]:
    """The answers of one batch."""
    stops = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    width = max(len(item["ids"]) for item in batch)
    ids = torch.full((len(batch), width), stops[1])  # [B, T], padded on the left
    mask = torch.zeros_like(ids)
    for row, item in enumerate(batch):
        ids[row, width - len(item["ids"]) :] = torch.tensor(item["ids"])
        mask[row, width - len(item["ids"]) :] = 1
    made = model.generate(
        input_ids=ids.to(model.device), attention_mask=mask.to(model.device), do_sample=False,
        temperature=None, top_p=None, top_k=None, repetition_penalty=1.0, max_new_tokens=max(item["n"] for item in batch),
        eos_token_id=stops, pad_token_id=stops[1], return_dict_in_generate=True, output_logits=True,
    )  # fmt: skip
    new = made.sequences[:, width:]  # [B, N]
    chosen = [
        torch.log_softmax(logits.float(), -1).gather(1, new[:, step : step + 1])
        for step, logits in enumerate(made.logits)
    ]
    probabilities = torch.cat(chosen, 1).cpu()  # [B, N]
    for row, item in enumerate(batch):
        tokens = new[row].tolist()[: item["n"]]
        end = next((place for place, token in enumerate(tokens) if token in stops), len(tokens))
        yield {
            "variant": item["variant"],
            "id": item["id"],
            "text": tokenizer.decode(tokens[:end], skip_special_tokens=True),
            "finish": "stop" if end < len(tokens) else "length",
            "prompt_tokens": len(item["ids"]),
            "new": end,
            "logprob": round(float(probabilities[row, : end + 1].sum()), 3),
        }


if __name__ == "__main__":
    main(*sys.argv[1:])
