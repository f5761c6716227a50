"""Pages with a description by their authors: what summaries are measured on."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from qsum_lsp.document import Document, parse, split_blocks
from qsum_lsp.errors import FileError, UsageError

_NAME_PART = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![a-z])")
_BANDS = ((400, "short"), (1500, "medium"), (6000, "long"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPage:
    """One page. ``body`` is Markdown without front matter; ``verbatim`` says that ``description`` stands in it.

    ``band`` is the length by words of prose: short below 400, medium below 1,500, long to 6,000, else xlong.
    """

    id: str
    site: str
    title: str
    body: str
    description: str
    band: str
    verbatim: bool

    @property
    def site_names(self) -> tuple[str, ...]:
        """The words of the site's name: ``acme/toolDocs`` stands for what its configuration would call it."""
        return tuple(_NAME_PART.findall(self.site))

    @property
    def plain_text(self) -> str:
        """Title and body as a reader sees them."""
        return "\n\n".join((self.title, *(block.text for block in split_blocks(self.body))))

    def document(self) -> Document:
        """The page as a file of a site: its title in the front matter, no description."""
        return parse(f"---\ntitle: {json.dumps(self.title, ensure_ascii=False)}\n---\n{self.body}")


def read_pages(path: Path) -> list[EvaluationPage]:
    """The pages of the JSON Lines file ``path``.

    Each line has ``body`` and ``description``, and where known ``id``, ``title``, ``repo`` (the site), ``band`` or
    ``words``, and ``verbatim``. Raises FileError, UsageError.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: cannot be read ({error}).") from error
    pages = [_page(line, path, number) for number, line in enumerate(lines, 1) if line.strip()]
    if not pages:
        raise UsageError(f"{path}: there is no page in it.")
    if len({page.id for page in pages}) < len(pages):
        raise UsageError(f"{path}: two pages have the same `id`.")
    return pages


def _page(line: str, path: Path, number: int) -> EvaluationPage:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise UsageError(f"{path}, line {number}: no JSON ({error}).") from error
    if not isinstance(record, dict) or not all(
        isinstance(record.get(key), str) and record[key].strip() for key in ("body", "description")
    ):
        raise UsageError(f"{path}, line {number}: `body` and `description` must be there, as strings.")
    body, description = record["body"], record["description"]
    verbatim = record.get("verbatim")
    return EvaluationPage(
        id=str(record.get("id", number)),
        site=str(record.get("repo", record.get("site", "all"))),
        title=str(record.get("title", "")),
        body=body,
        description=description,
        band=str(record.get("band") or _band(record.get("words"), body)),
        verbatim=bool(_squeeze(description) in _squeeze(body) if verbatim is None else verbatim),
    )


def _band(words: object, body: str) -> str:
    if not isinstance(words, int):
        words = sum(len(b.text.split()) for b in split_blocks(body) if b.kind not in ("code", "table"))
    return next((name for limit, name in _BANDS if words < limit), "xlong")


def _squeeze(text: str) -> str:
    return " ".join(text.split())
