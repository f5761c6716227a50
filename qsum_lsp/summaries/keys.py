"""The keys of the store: what a summary depends on, and nothing else, as SHA-256."""

import hashlib

from qsum_lsp.summaries.prompt import PROMPT_VERSION, PromptInput


def digest(*parts: str) -> str:
    """SHA-256 of ``parts``, each with its length before it, so that no two lists share one."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode()
        state.update(b"%d:" % len(data))
        state.update(data)
    return state.hexdigest()


def summary_key(prompt_input: PromptInput, *, fingerprint: str, content_digest: str) -> str:
    """The key of the answer to ``prompt_input``, whose Markdown ``content_digest`` stands for.

    Only what the prompt shows goes in, so equal sections in two files share a summary.
    """
    return digest(
        "summary",
        PROMPT_VERSION,
        fingerprint,
        str(prompt_input.max_chars),
        f"page {prompt_input.page_style}" if prompt_input.is_page else "section",
        " ".join(prompt_input.site_names),
        str(len(prompt_input.headings)),
        *prompt_input.headings,
        content_digest,
        *(text for part in prompt_input.parts for text in part),
    )


def count_key(text: str, *, fingerprint: str) -> str:
    """The key of the number of tokens in ``text``."""
    return digest("tokens", fingerprint, text)


def chunks_key(text: str, *, fingerprint: str, strategy: str, limit: int) -> str:
    """The key of where ``text`` is cut into chunks of at most ``limit`` tokens."""
    return digest("chunks", fingerprint, strategy, str(limit), text)
