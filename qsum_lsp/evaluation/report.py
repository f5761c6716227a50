"""What a report says, before it is Markdown or HTML: headings, paragraphs, tables and plots."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from qsum_lsp.evaluation.measures import Interval
from qsum_lsp.evaluation.predictions import Prediction
from qsum_lsp.evaluation.results import COSINE, OTHER_RUN, RUN, Results, Run

_MOST_DIFFERENT = 10
_SHOWN_PAGES = 12
_GROUP_GAINS = (
    ("ROUGE-1", "first sentence"),
    (COSINE, "first two sentences"),
    ("ROUGE-1", OTHER_RUN),
    (COSINE, OTHER_RUN),
)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading below the report's title."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """``rows`` have as many cells as ``columns``."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Bars:
    """Means with intervals, to be drawn; ``name`` makes the file's name."""

    name: str
    title: str
    bars: Sequence[tuple[str, Interval]]


Part = Heading | Paragraph | Table | Bars


def build_report(results: Results, *, engine: str) -> list[Part]:
    """The parts of the report on ``results``, made by ``engine``."""
    return [
        Paragraph(
            f"{len(results.pages)} pages; summaries by {engine}. ROUGE is F1 x 100 with stemming, cosine that of "
            "sentence embeddings x 100, each with its 95 % bootstrap interval over pages; differences are paired."
        ),
        *_summary_table(results),
        *_gain_tables(results),
        *_plots(results),
        *_group_tables(results),
        *_different_pages(results),
    ]


def _summary_table(results: Results) -> Iterator[Part]:
    rows = [_facts(name, run, results) for name, run in results.runs.items()]
    yield Heading("The summaries")
    yield Table(
        ("what", *(results.runs if len(rows) > 1 else ("how many",))),
        [(what, *(row[what] for row in rows)) for what in rows[0]],
    )


def _facts(name: str, run: Run, results: Results) -> dict[str, str]:
    checks = run.checks
    predictions = run.predictions
    count = len(predictions)

    def share(condition: Callable[[int], bool]) -> str:
        hits = sum(condition(index) for index in range(count))
        return f"{hits} of {count} ({hits / count:.1%})"

    return {
        "by the model": share(lambda i: predictions[i].source == "model"),
        "the page's own words": share(lambda i: _is_own(predictions[i])),
        "fell back to a sentence of the page": share(lambda i: predictions[i].fell_back),
        "grounded (qsum's check)": share(lambda i: checks[i].grounded),
        "supported by the page (plain look-up)": share(lambda i: checks[i].supported),
        f"within {results.max_chars} characters": share(lambda i: checks[i].within_limit),
        "cut off": share(lambda i: checks[i].cut_off),
        "open with “This page” or the like": share(lambda i: checks[i].opens_with_page),
        "in the page's language": share(lambda i: checks[i].in_language),
        "repeat the title": share(lambda i: checks[i].repeats_title),
        "words, on average": f"{results.words(name, range(count)):.1f}",
        "prompt tokens, on average": f"{sum(p.prompt_tokens for p in predictions) / count:.0f}",
        "new tokens, on average": f"{sum(p.new_tokens for p in predictions) / count:.0f}",
        "seconds at the engine, on average": f"{sum(p.seconds for p in predictions) / count:.2f}",
    }


def _is_own(prediction: Prediction) -> bool:
    return prediction.source != "model" and not prediction.fell_back


def _gain_tables(results: Results) -> Iterator[Part]:
    yield Heading("Gain over the baselines")
    everything = range(len(results.pages))
    rows = [
        (
            f"over {other}",
            *(shown_gain(results.gain(other, metric, everything)) for metric in results.metrics),
        )
        for other in results.methods
        if other != RUN
    ]
    yield Table(("", *results.metrics), rows)
    bases = [
        (metric, other)
        for metric, other in _GROUP_GAINS
        if metric in results.metrics and other in results.methods
    ]
    yield Table(
        ("pages", *(f"{metric} over {other}" for metric, other in bases)),
        [
            (
                f"{name} ({len(group)})",
                *(shown_gain(results.gain(other, metric, group)) for metric, other in bases),
            )
            for name, group in results.groups()
        ],
    )


def _plots(results: Results) -> Iterator[Part]:
    everything = range(len(results.pages))
    for metric in results.metrics:
        yield Bars(
            metric.lower().replace(" ", "-"),
            metric,
            [(method, results.mean(method, metric, everything)) for method in results.methods],
        )


def _group_tables(results: Results) -> Iterator[Part]:
    for name, group in results.groups():
        yield Heading(f"{name[:1].upper()}{name[1:]} ({len(group)})")
        yield Table(
            ("method", *results.metrics, "words"),
            [
                (
                    method,
                    *(shown(results.mean(method, metric, group)) for metric in results.metrics),
                    f"{results.words(method, group):.1f}",
                )
                for method in results.methods
            ],
        )


def _different_pages(results: Results) -> Iterator[Part]:
    other = OTHER_RUN if OTHER_RUN in results.methods else "first sentence"
    own, against = (results.methods[method] for method in (RUN, other))
    difference = results.differences(other, "ROUGE-1")
    order = sorted(range(len(results.pages)), key=lambda index: float(difference[index]))
    half = min(_MOST_DIFFERENT, _SHOWN_PAGES, len(order)) // 2 or len(order)
    yield Heading(f"Where qsum and the {other} differ most")
    better, worse = int((difference > 0).sum()), int((difference < 0).sum())
    yield Paragraph(
        f"By ROUGE-1 qsum is better on {better} pages, worse on {worse}, equal on {len(difference) - better - worse}."
    )
    chosen = dict.fromkeys((*order[:half], *reversed(order[-half:])))
    yield Table(
        ("page", "ROUGE-1", "people wrote", "qsum", other),
        [
            (
                f"{results.pages[index].title} ({results.pages[index].id})",
                f"{difference[index]:+.1f}",
                results.pages[index].description,
                own.texts[index],
                against.texts[index],
            )
            for index in chosen
        ],
    )


def shown(value: Interval) -> str:
    """A mean with its interval."""
    return f"{value.mean:.1f} [{value.low:.1f}, {value.high:.1f}]"


def shown_gain(value: Interval) -> str:
    """A difference with its interval."""
    return f"{value.mean:+.1f} [{value.low:+.1f}, {value.high:+.1f}]"
