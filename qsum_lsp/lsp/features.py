"""The server with all its features: which handler answers which method."""

import logging

from lsprotocol import types

from qsum_lsp.lsp import code_actions, code_lens, diagnostics, hover, lifecycle
from qsum_lsp.lsp.commands import COMMANDS
from qsum_lsp.lsp.outline import outline
from qsum_lsp.lsp.server import QsumServer

_MARKDOWN_FILES = types.FileOperationRegistrationOptions(
    filters=[
        types.FileOperationFilter(
            scheme="file", pattern=types.FileOperationPattern(glob="**/*.{md,markdown,mdx,qmd,Rmd}")
        )
    ]
)


def create_server() -> QsumServer:
    """A language server that waits for a client."""
    # their records hold whole messages, and so the text of documents
    logging.getLogger("pygls").setLevel(logging.CRITICAL)  # errors reach ``report_server_error``
    logging.getLogger("httpx").setLevel(logging.WARNING)
    server = QsumServer()
    for method, handler, options in (
        (types.INITIALIZE, lifecycle.initialize, None),
        (types.INITIALIZED, lifecycle.initialized, None),
        (types.SHUTDOWN, lifecycle.shutdown, None),
        (types.WORKSPACE_DID_CHANGE_CONFIGURATION, lifecycle.did_change_configuration, None),
        (types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS, lifecycle.did_change_workspace_folders, None),
        (types.WORKSPACE_DID_CHANGE_WATCHED_FILES, lifecycle.did_change_watched_files, None),
        (types.WORKSPACE_DID_RENAME_FILES, lifecycle.did_rename_files, _MARKDOWN_FILES),
        (types.WORKSPACE_DID_DELETE_FILES, lifecycle.did_delete_files, _MARKDOWN_FILES),
        (types.TEXT_DOCUMENT_DID_OPEN, lifecycle.did_open, None),
        (types.TEXT_DOCUMENT_DID_CHANGE, lifecycle.did_change, None),
        (types.TEXT_DOCUMENT_DID_SAVE, lifecycle.did_save, None),
        (types.TEXT_DOCUMENT_DID_CLOSE, lifecycle.did_close, None),
        (types.TEXT_DOCUMENT_HOVER, hover.hover, None),
        (types.TEXT_DOCUMENT_CODE_LENS, code_lens.code_lenses, None),
        (types.CODE_LENS_RESOLVE, code_lens.resolve_code_lens, None),
        (
            types.TEXT_DOCUMENT_CODE_ACTION,
            code_actions.code_actions,
            types.CodeActionOptions(code_action_kinds=list(code_actions.KINDS), resolve_provider=True),
        ),
        (types.CODE_ACTION_RESOLVE, code_actions.resolve_code_action, None),
        (
            types.TEXT_DOCUMENT_DIAGNOSTIC,
            diagnostics.pull_diagnostics,
            types.DiagnosticOptions(inter_file_dependencies=False, workspace_diagnostics=False),
        ),
        ("qsum/outline", outline, None),
    ):
        server.feature(method, options)(handler)
    for name, command in COMMANDS.items():
        server.command(name)(command)
    return server
