"""The first run: a model that is needed and not here yet is downloaded, before any summary is made."""

from collections.abc import Iterable

from qsum_lsp.cli.models import pull_with_progress
from qsum_lsp.cli.pages import Page
from qsum_lsp.service import Service, model_to_pull, summary_options
from qsum_lsp.summaries import TextStore


def pull_missing_models(pages: Iterable[Page], store: TextStore) -> None:
    """Pull each model that a page needs; pages whose summaries are all cached need none.

    Raises EngineUnavailable where a model is not to be had.
    """
    service = Service(store)
    pulled: set[str] = set()
    for page in pages:
        model = model_to_pull(page.settings)
        if model is None or model in pulled:
            continue
        summarizer = service.summarizer(page.settings)
        known = summarizer.lookup(page.document, summary_options(page.settings)).summaries
        if any(section.id not in known for section in page.document.walk()):
            pull_with_progress(model)
            pulled.add(model)
