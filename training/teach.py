"""The larger model's answers to section prompts, kept where they are good.

Usage: ``python -m training.teach MODEL.gguf sections.jsonl taught.jsonl``. A section has ``site``, ``messages``, ``headings``,
``source`` and ``max_chars``. What the product would clean off an answer is no part of what is learned, and an answer
that its grounding check refuses is left out.
"""

import json
import sys
from pathlib import Path
from typing import Any

from qsum_lsp.summaries.clean import clean_summary
from qsum_lsp.summaries.grounding import check_grounding
from qsum_lsp.text.language import guess_language
from qsum_lsp.text.sentences import split_sentences
from qsum_lsp.text.words import bare
from training.answer import answers
from training.base import Base
from training.examples import read_records

NEW_TOKENS = 140
MOST_SENTENCES = 2


def lesson(record: dict[str, Any]) -> str:
    """The answer as the product would show it, or empty where it would not."""
    headings, source = record["headings"], record["source"]
    title = headings[-1] if headings else ""
    language = guess_language(source)
    text = clean_summary(
        record["text"],
        max_chars=record["max_chars"],
        title=title,
        language=language,
        whole=record["finish"] == "stop",
    )
    text = " ".join(split_sentences(text, language)[:MOST_SENTENCES])
    if not 0 < len(text) <= len(" ".join(source.split())) or bare(text) == bare(title):
        return ""
    return text if check_grounding(text, "\n\n".join((*headings, source))).grounded else ""


def main(model: str, sections: str, taught: str) -> None:
    """Answer, sift, write."""
    base = Base.load(Path(model))
    records = read_records(Path(sections))
    kept = 0
    with open(taught, "w", encoding="utf-8") as sink:
        for record in answers(base, records, NEW_TOKENS):
            if target := lesson(record):
                kept += 1
                chosen = {key: record[key] for key in ("id", "site", "messages")} | {"target": target}
                sink.write(json.dumps(chosen, ensure_ascii=False) + "\n")
    print(f"kept {kept} of {len(records)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
