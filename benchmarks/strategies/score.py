"""Score the predictions of ``generate``, and rankings of the samples that ``training.answer --samples`` drew.

Usage: ``python -m benchmarks.strategies.score PAGES OUT [--embeddings MODEL] [--own]``. A row compares page by page with the way that its
last column names, on the pages that both have; of an answer that was refused the fallback counts. With ``--own`` every way takes the sentence of the page's own
where the product does.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qsum_lsp.evaluation.baselines import first_sentences
from qsum_lsp.evaluation.measures import Embeddings, Rouge, interval
from qsum_lsp.evaluation.pages import EvaluationPage, read_pages
from qsum_lsp.evaluation.predictions import read_predictions
from qsum_lsp.evaluation.report import shown_gain
from qsum_lsp.summaries import SummaryOptions
from qsum_lsp.summaries.clean import clean_summary, description_of
from qsum_lsp.summaries.grounding import check_grounding
from qsum_lsp.text.language import guess_language
from qsum_lsp.text.words import words

LIMIT = SummaryOptions().page_max_chars
LEAD_SENTENCES = 3
Texts = dict[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """One drawn answer, cleaned; ``likelihood`` is the mean log-probability of its tokens, in nats."""

    text: str
    likelihood: float


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--embeddings")
    parser.add_argument("--own", action="store_true")
    args = parser.parse_args()
    pages = {page.id: page for page in read_pages(args.pages)}
    costs: Mapping[str, Mapping[str, float]] = json.loads((args.out / "costs.json").read_text("utf-8"))
    made: dict[str, Texts] = {}
    fell: dict[str, set[str]] = {}
    for name in costs:
        found = read_predictions(args.out / f"{name}.jsonl")
        made[name] = {page_id: one.summary for page_id, one in found.items()}
        fell[name] = {page_id for page_id, one in found.items() if one.fell_back}
    drawn = args.out / "samples.jsonl"
    if drawn.exists():
        made |= ranked(read_samples(drawn, pages), pages, Rouge())
    if args.own:
        product = read_predictions(args.out / "product.jsonl").values()
        own = {one.id: one.summary for one in product if one.source == "extractive" and not one.fell_back}
        made = {
            name: {key: own.get(key, text) for key, text in texts.items()} for name, texts in made.items()
        }
    for line in table(pages, made, fell, costs, Embeddings(args.embeddings) if args.embeddings else None):
        print(line)


def table(
    pages: Mapping[str, EvaluationPage],
    made: Mapping[str, Texts],
    fell: Mapping[str, set[str]],
    costs: Mapping[str, Mapping[str, float]],
    embeddings: Embeddings | None,
) -> list[str]:
    """The lines of the table."""
    rouge = Rouge()
    head = [
        "way",
        "pages",
        "ROUGE-1",
        "gain",
        *(["cosine", "gain"] if embeddings else []),
        "words",
        "grounded",
    ]
    head += ["fell back", "prompt tokens", "new tokens", "seconds", "against"]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for name, texts in made.items():
        base = _against(name, made)
        ids = [page_id for page_id in texts if page_id in made[base]]
        references = [pages[page_id].description for page_id in ids]
        own, other = [texts[page_id] for page_id in ids], [made[base][page_id] for page_id in ids]
        measured = [rouge.scores(references, both)["ROUGE-1"] for both in (own, other)]
        cells = [name, str(len(ids)), f"{measured[0].mean():.1f}", _gain(measured, same=name == base)]
        if embeddings:
            measured = [embeddings.cosine(references, both) for both in (own, other)]
            cells += [f"{measured[0].mean():.1f}", _gain(measured, same=name == base)]
        true = [_grounded(pages[page_id], texts[page_id]) for page_id in ids]
        cells += [f"{np.mean([len(text.split()) for text in own]):.1f}", f"{np.mean(true):.0%}"]
        cells.append(str(len(fell[name])) if name in fell else "")
        spent = costs.get(name)
        cells += [f"{spent[key]:,.0f}" if spent else "" for key in ("prompt tokens", "new tokens")]
        cells += [f"{spent['seconds']:.1f}" if spent else "", "" if name == base else base]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _against(name: str, made: Mapping[str, Texts]) -> str:
    """Strategies for what is too long compete with plain truncation at the same budget, all else with the plain request."""
    kind, _, context = name.rpartition("-")
    cut = f"truncated-{context}"
    if kind in ("headings", "semantic", "sliding", "hierarchical") and cut in made:
        return cut
    return "request"


def _gain(measured: Sequence[Any], *, same: bool) -> str:
    return "" if same else shown_gain(interval(measured[0] - measured[1]))


def _grounded(page: EvaluationPage, text: str) -> bool:
    return check_grounding(text, page.plain_text, known_names=page.site_names).grounded


def read_samples(path: Path, pages: Mapping[str, EvaluationPage]) -> dict[str, list[Sample]]:
    """The answers of each page that leave something when they are cleaned as the product cleans them."""
    found: dict[str, list[Sample]] = {}
    for line in path.read_text("utf-8").splitlines():
        record = json.loads(line)
        page = pages[record["id"]]
        language = guess_language(page.body)
        text = clean_summary(
            record["text"],
            max_chars=LIMIT,
            title=page.title,
            language=language,
            whole=record["finish"] == "stop",
        )
        likelihood = record["logprob"] / (record["new_tokens"] + 1)  # the stop token has its share
        if text:
            found.setdefault(page.id, []).append(Sample(description_of(text, language=language), likelihood))
    return found


def ranked(
    samples: Mapping[str, Sequence[Sample]], pages: Mapping[str, EvaluationPage], rouge: Rouge
) -> dict[str, Texts]:
    """The best sample of each page by each ranking; the oracle knows the author's description."""

    def oracle(page: EvaluationPage, found: Sequence[Sample]) -> list[float]:
        texts = [one.text for one in found]
        return list(rouge.scores([page.description] * len(texts), texts)["ROUGE-1"])

    rankings: dict[str, Callable[[EvaluationPage, Sequence[Sample]], list[float]]] = {
        "sample, the first": lambda _, found: [-float(place) for place in range(len(found))],
        "samples, by likelihood": lambda _, found: [one.likelihood for one in found],
        "samples, by MBR": lambda _, found: agreement([one.text for one in found]),
        "samples, by grounding": by_grounding,
        "samples, by the lead": by_lead,
        "samples, the best (oracle)": oracle,
    }
    chosen: dict[str, Texts] = {name: {} for name in rankings}
    for page_id, found in samples.items():
        for name, rank in rankings.items():
            scores = rank(pages[page_id], found)
            chosen[name][page_id] = found[max(range(len(found)), key=lambda at: scores[at])].text
    return chosen


def by_grounding(page: EvaluationPage, found: Sequence[Sample]) -> list[float]:
    """Grounded ones first, then the likeliest."""
    return [one.likelihood + 1000 * _grounded(page, one.text) for one in found]


def by_lead(page: EvaluationPage, found: Sequence[Sample]) -> list[float]:
    """What shares most words with the page's title and first sentences."""
    lead = Counter(words(f"{page.title} {first_sentences(page, LEAD_SENTENCES)}"))
    return [unigram_f1(Counter(words(one.text)), lead) for one in found]


def agreement(texts: Sequence[str]) -> list[float]:
    """The mean unigram F1 of each text with all: minimum Bayes risk (Kumar and Byrne 2004)."""
    bags = [Counter(words(text)) for text in texts]
    return [sum(unigram_f1(bag, other) for other in bags) / len(bags) for bag in bags]


def unigram_f1(one: Counter[str], other: Counter[str]) -> float:
    """The harmonic mean of the shares of words that two texts have in common."""
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 0.0


if __name__ == "__main__":
    main()
