"""ROUGE, cosine of sentence embeddings, and how far means and differences can be trusted."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qsum_lsp.errors import UsageError
from qsum_lsp.home import offline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

_RESAMPLES = 5_000
_SEED = 20_240_117


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % bootstrap interval over pages (Efron and Tibshirani 1993, percentile method)."""

    mean: float
    low: float
    high: float


def interval(values: "Values") -> Interval:
    """The mean of ``values``, shape [pages], and its interval. For a paired difference give the differences."""
    import numpy as np

    drawn = np.random.default_rng(_SEED).integers(0, len(values), (_RESAMPLES, len(values)))
    means = values[drawn].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high))


class Rouge:
    """ROUGE F1 x 100 with stemming, by the package rouge-score (Lin 2004)."""

    METRICS = ("ROUGE-1", "ROUGE-2", "ROUGE-L")

    def __init__(self) -> None:
        try:
            from rouge_score.rouge_scorer import RougeScorer
        except ImportError as error:
            raise UsageError('ROUGE needs rouge-score. Run `pip install "qsum-lsp[eval]"`.') from error
        self._scorer: Any = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)

    def scores(self, references: Sequence[str], texts: Sequence[str]) -> dict[str, "Values"]:
        """By metric, shape [pages]."""
        import numpy as np

        rows = [
            [
                self._scorer.score(reference, text)[key].fmeasure * 100
                for key in ("rouge1", "rouge2", "rougeL")
            ]
            for reference, text in zip(references, texts, strict=True)
        ]
        table = np.array(rows, dtype=np.float64)
        return {metric: table[:, column] for column, metric in enumerate(self.METRICS)}


class Embeddings:
    """Cosine x 100 of sentence embeddings, by sentence-transformers (Reimers and Gurevych 2019)."""

    def __init__(self, model: str) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise UsageError(
                '`--embeddings` needs sentence-transformers. Run `pip install "qsum-lsp[embeddings]"`.'
            ) from error
        local = Path(model).is_dir()
        if not local and offline():
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
        try:
            self._model: Any = SentenceTransformer(model, device="cpu")
        except (OSError, ValueError) as error:
            raise UsageError(f"--embeddings {model}: it does not load ({error}).") from error

    def cosine(self, references: Sequence[str], texts: Sequence[str]) -> "Values":
        """Shape [pages]; an empty text counts as 0."""
        import numpy as np

        one = self._encode(references)
        other = self._encode(texts)
        empty = np.array([not text.strip() for text in texts])
        return np.where(empty, 0.0, (one * other).sum(axis=1) * 100).astype(np.float64)

    def _encode(self, texts: Sequence[str]) -> Any:
        return self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
