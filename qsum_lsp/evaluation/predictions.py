"""The summaries of one run, and how they are kept in a file."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from qsum_lsp.errors import FileError, UsageError
from qsum_lsp.evaluation.pages import EvaluationPage
from qsum_lsp.summaries import PAGE, Summarizer, SummaryOptions
from qsum_lsp.summaries.fallback import FALLBACK_NOTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The summary of one page and what it cost. ``source``, ``grounded`` and ``note`` as in ``SectionSummary``."""

    id: str
    summary: str
    source: str = "model"
    grounded: bool | None = None
    note: str = ""
    prompt_tokens: int = 0
    new_tokens: int = 0
    seconds: float = 0.0

    @property
    def fell_back(self) -> bool:
        """Whether a sentence of the page stands in for an answer that could not be used."""
        return self.note.startswith(FALLBACK_NOTE)


async def predict(
    pages: Sequence[EvaluationPage],
    summarizer: Summarizer,
    options: SummaryOptions,
    *,
    at_once: int,
    on_done: Callable[[Prediction], None],
) -> list[Prediction]:
    """The page summaries of ``pages``, ``at_once`` under way together. Raises EngineUnavailable."""
    gate = asyncio.Semaphore(at_once)

    async def one(page: EvaluationPage) -> Prediction:
        async with gate:
            named = replace(options, site_names=page.site_names)
            result = await summarizer.summarize(page.document(), named, only=(PAGE,))
        summary = result.summaries.get(PAGE)
        prediction = Prediction(
            id=page.id,
            summary=summary.text if summary else "",
            source=summary.source if summary else "extractive",
            grounded=summary.grounded if summary else None,
            note=summary.note if summary else "",
            prompt_tokens=result.usage.prompt_tokens,
            new_tokens=result.usage.new_tokens,
            seconds=round(result.usage.seconds, 3),
        )
        on_done(prediction)
        return prediction

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(page)) for page in pages]
    return [task.result() for task in tasks]


def append_prediction(prediction: Prediction, path: Path) -> None:
    """One more line, so that what is interrupted keeps what was finished. Raises FileError."""
    try:
        with path.open("a", encoding="utf-8") as sink:
            sink.write(json.dumps(asdict(prediction), ensure_ascii=False) + "\n")
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error}).") from error


def start_predictions(path: Path) -> None:
    """An empty file to append to. Raises FileError."""
    try:
        path.write_text("", "utf-8")
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error}).") from error


def read_predictions(path: Path) -> dict[str, Prediction]:
    """By page id. Raises FileError, UsageError."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: cannot be read ({error}).") from error
    found: dict[str, Prediction] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record: Mapping[str, object] = json.loads(line)
            known = {key: record[key] for key in Prediction.__dataclass_fields__ if key in record}
            prediction = Prediction(**known)  # type: ignore[arg-type]
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(
                f"{path}, line {number}: not a prediction; it needs `id` and `summary` ({error})."
            ) from error
        found[prediction.id] = prediction
    return found
