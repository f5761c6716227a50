"""The scores of one run and of what it is held against, page by page and in groups."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qsum_lsp.evaluation.baselines import baselines
from qsum_lsp.evaluation.checks import Checks, check
from qsum_lsp.evaluation.measures import Embeddings, Interval, Rouge, interval
from qsum_lsp.evaluation.pages import EvaluationPage
from qsum_lsp.evaluation.predictions import Prediction

if TYPE_CHECKING:
    from qsum_lsp.evaluation.measures import Values

RUN = "qsum"
OTHER_RUN = "baseline run"
COSINE = "cosine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The texts of one method with their scores by metric, each of shape [pages]."""

    texts: Sequence[str]
    scores: "dict[str, Values]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The summaries of one run and what was found in each, in the pages' order."""

    predictions: Sequence[Prediction]
    checks: Sequence[Checks]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything a report says.

    ``methods`` has the run first, then the other run if any, then the baselines; ``runs`` the run and the other one.
    """

    pages: Sequence[EvaluationPage]
    methods: dict[str, Scored]
    runs: dict[str, Run]
    max_chars: int

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that were measured."""
        return tuple(self.methods[RUN].scores)

    def groups(self) -> Iterator[tuple[str, list[int]]]:
        """Names and page numbers: all, those not copied from the body, by length band, by site."""
        everything = list(range(len(self.pages)))
        yield "all pages", everything
        original = [index for index in everything if not self.pages[index].verbatim]
        if len(original) < len(everything):
            yield "without descriptions copied from the body", original
        for band in ("short", "medium", "long", "xlong"):
            if own := [index for index in everything if self.pages[index].band == band]:
                yield f"{band} pages", own
        sites = sorted({page.site for page in self.pages})
        if len(sites) > 1:
            for site in sites:
                yield site, [index for index in everything if self.pages[index].site == site]

    def mean(self, method: str, metric: str, group: Sequence[int]) -> Interval:
        """The mean of ``metric`` over the pages of ``group``."""
        return interval(self.methods[method].scores[metric][list(group)])

    def gain(self, over: str, metric: str, group: Sequence[int]) -> Interval:
        """How much more the run has than ``over``, paired by page."""
        return interval(self.differences(over, metric)[list(group)])

    def differences(self, over: str, metric: str) -> "Values":
        """How much more the run has than ``over`` on each page, shape [pages]."""
        return self.methods[RUN].scores[metric] - self.methods[over].scores[metric]

    def words(self, method: str, group: Sequence[int]) -> float:
        """Words in a text of ``method``, on average."""
        return sum(len(self.methods[method].texts[index].split()) for index in group) / len(group)


def evaluate(
    pages: Sequence[EvaluationPage],
    predictions: Sequence[Prediction],
    *,
    other: Sequence[Prediction] | None,
    embeddings: Embeddings | None,
    max_chars: int,
) -> Results:
    """Score ``predictions``, and ``other`` ones, of ``pages`` in their order. Raises UsageError."""
    rouge = Rouge()
    references = [page.description for page in pages]
    made = {RUN: predictions} | ({} if other is None else {OTHER_RUN: other})
    texts = {name: [prediction.summary for prediction in run] for name, run in made.items()}
    for name, make in baselines().items():
        texts[name] = [make(page) for page in pages]
    methods = {}
    for name, own in texts.items():
        scores = rouge.scores(references, own)
        if embeddings is not None:
            scores[COSINE] = embeddings.cosine(references, own)
        methods[name] = Scored(texts=own, scores=scores)
    return Results(
        pages=pages,
        methods=methods,
        runs={
            name: Run(
                predictions=run,
                checks=[
                    check(prediction.summary, page, max_chars=max_chars)
                    for prediction, page in zip(run, pages, strict=True)
                ],
            )
            for name, run in made.items()
        },
        max_chars=max_chars,
    )
