"""Score answers by variant: ROUGE-1 and cosine with their paired gains over the first sentence and the first two.

Usage: ``python -m benchmarks.prompts.score answers.jsonl [EMBEDDING_MODEL]``. Each variant has a second row, "+ own", in which a
page's own statement of what it is about takes the answer's place.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.prompts.variants import PAGES
from qsum_lsp.document import split_blocks
from qsum_lsp.evaluation.baselines import baselines
from qsum_lsp.evaluation.measures import Embeddings, Rouge, interval
from qsum_lsp.evaluation.pages import EvaluationPage, read_pages
from qsum_lsp.evaluation.report import shown_gain
from qsum_lsp.summaries.clean import clean_summary
from qsum_lsp.summaries.grounding import check_grounding
from qsum_lsp.summaries.statement import own_statement

LIMIT = 280


def main(answers: Path, model: str | None) -> None:
    """Print a Markdown table, the best ROUGE-1 first."""
    pages = read_pages(PAGES)
    references = [page.description for page in pages]
    rouge = Rouge()
    embeddings = Embeddings(model) if model else None
    first, two = (
        [baselines()[name](page) for page in pages] for name in ("first sentence", "first two sentences")
    )
    floor = rouge.scores(references, first)["ROUGE-1"]
    cosine_floor = embeddings.cosine(references, two) if embeddings else None
    sources = {
        page.id: f"{page.title}\n\n" + "\n\n".join(block.text for block in split_blocks(page.body))
        for page in pages
    }
    own = {page.id: own_statement(page.body, title=page.title, max_chars=LIMIT) for page in pages}
    rows = []
    for name, texts in variants(answers, pages).items():
        for label, chosen in (
            (name, texts),
            (f"{name} + own", [own[page.id] or text for page, text in zip(pages, texts, strict=True)]),
        ):
            gained = rouge.scores(references, chosen)["ROUGE-1"]
            cells = [label, f"{gained.mean():.1f}", shown_gain(interval(gained - floor))]
            if embeddings and cosine_floor is not None:
                cosine = embeddings.cosine(references, chosen)
                cells += [f"{cosine.mean():.1f}", shown_gain(interval(cosine - cosine_floor))]
            grounded = [
                check_grounding(text, sources[page.id]).grounded
                for page, text in zip(pages, chosen, strict=True)
            ]
            cells += [
                f"{sum(len(text.split()) for text in chosen) / len(chosen):.1f}",
                f"{sum(grounded) / len(grounded):.0%}",
            ]
            rows.append((gained.mean(), cells))
    head = ["variant", "ROUGE-1", "over the first sentence"]
    head += ["cosine", "over the first two"] if embeddings else []
    head += ["words", "grounded at once"]
    print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for _, cells in sorted(rows, key=lambda row: -row[0]):
        print(f"| {' | '.join(cells)} |")


def variants(answers: Path, pages: Sequence[EvaluationPage]) -> dict[str, list[str]]:
    """The cleaned answers of each variant that has one for every page; the title where nothing was usable."""
    found: dict[str, dict[str, str]] = {}
    for line in answers.read_text("utf-8").splitlines():
        record = json.loads(line)
        found.setdefault(record["variant"], {})[record["id"]] = record["text"]
    return {
        name: [
            clean_summary(texts[page.id], max_chars=LIMIT, title=page.title) or f"{page.title}."
            for page in pages
        ]
        for name, texts in found.items()
        if all(page.id in texts for page in pages)
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
