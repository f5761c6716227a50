"""The server with all its features: which handler answers which method."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from lsprotocol import types

from qsum_lsp.lsp.action_kinds import KINDS
from qsum_lsp.lsp.garbage import put_off_full_collections
from qsum_lsp.lsp.server import QsumServer

_MARKDOWN_FILES = types.FileOperationRegistrationOptions(
    filters=[
        types.FileOperationFilter(
            scheme="file", pattern=types.FileOperationPattern(glob="**/*.{md,markdown,mdx,qmd,Rmd}")
        )
    ]
)

_Handler = Callable[[QsumServer, Any], Awaitable[Any]]

_FEATURES: dict[str, tuple[str, str, Any]] = {
    types.INITIALIZED: ("lifecycle", "initialized", None),
    types.SHUTDOWN: ("lifecycle", "shutdown", None),
    types.WORKSPACE_DID_CHANGE_CONFIGURATION: ("lifecycle", "did_change_configuration", None),
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: ("lifecycle", "did_change_workspace_folders", None),
    types.WORKSPACE_DID_CHANGE_WATCHED_FILES: ("lifecycle", "did_change_watched_files", None),
    types.WORKSPACE_DID_RENAME_FILES: ("lifecycle", "did_rename_files", _MARKDOWN_FILES),
    types.WORKSPACE_DID_DELETE_FILES: ("lifecycle", "did_delete_files", _MARKDOWN_FILES),
    types.TEXT_DOCUMENT_DID_OPEN: ("lifecycle", "did_open", None),
    types.TEXT_DOCUMENT_DID_CHANGE: ("lifecycle", "did_change", None),
    types.TEXT_DOCUMENT_DID_SAVE: ("lifecycle", "did_save", None),
    types.TEXT_DOCUMENT_DID_CLOSE: ("lifecycle", "did_close", None),
    types.TEXT_DOCUMENT_HOVER: ("hover", "hover", None),
    types.TEXT_DOCUMENT_CODE_LENS: ("code_lens", "code_lenses", None),
    types.CODE_LENS_RESOLVE: ("code_lens", "resolve_code_lens", None),
    types.TEXT_DOCUMENT_CODE_ACTION: (
        "code_actions",
        "code_actions",
        types.CodeActionOptions(code_action_kinds=list(KINDS), resolve_provider=True),
    ),
    types.CODE_ACTION_RESOLVE: ("code_actions", "resolve_code_action", None),
    types.TEXT_DOCUMENT_DIAGNOSTIC: (
        "diagnostics",
        "pull_diagnostics",
        types.DiagnosticOptions(inter_file_dependencies=False, workspace_diagnostics=False),
    ),
    "qsum/outline": ("outline", "outline", None),
}
"""By method: the module with its handler, the handler, and what is told of it to the client."""

_COMMANDS = {
    "qsum.summarizeSection": "summarize_section",
    "qsum.summarizeDocument": "summarize_document",
    "qsum.refreshSummaries": "refresh_summaries",
    "qsum.updateFrontMatter": "update_front_matter",
    "qsum.insertSummary": "insert_summary",
    "qsum.clearCache": "clear_cache",
    "qsum.status": "status",
}


def create_server() -> QsumServer:
    """A language server that waits for a client."""
    # their records hold whole messages, and so the text of documents
    logging.getLogger("pygls").setLevel(logging.CRITICAL)  # errors reach ``report_server_error``
    logging.getLogger("httpx").setLevel(logging.WARNING)
    server = QsumServer()
    server.feature(types.INITIALIZE)(_initialize)
    for method, (module, name, options) in _FEATURES.items():
        server.feature(method, options)(_handler(module, name))
    for command, name in _COMMANDS.items():
        server.command(command)(_handler("commands", name))
    return server


def _handler(module: str, name: str) -> _Handler:
    """The handler ``name`` of ``module``, which is imported with the first message: see ``_initialize``."""

    async def handle(ls: QsumServer, params: Any) -> Any:
        return await getattr(import_module(f"qsum_lsp.lsp.{module}"), name)(ls, params)

    return handle


def _initialize(ls: QsumServer, params: types.InitializeParams) -> None:
    """Take in what the client is and wants. The handlers are imported when the answer is out.

    They take a quarter of a second together, in which an editor that waits for the answer shows nothing.
    """
    ls.client.started(params)
    folders = [folder.uri for folder in params.workspace_folders or ()]
    if not folders and params.root_uri:
        folders = [params.root_uri]
    ls.configuration.start(ls.client.settings, folders, reads_files=ls.client.trusts_workspace)
    asyncio.get_running_loop().call_soon(_import_handlers)


def _import_handlers() -> None:
    for module in ("commands", *dict.fromkeys(module for module, _, _ in _FEATURES.values())):
        import_module(f"qsum_lsp.lsp.{module}")
    put_off_full_collections()
