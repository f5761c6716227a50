"""The start and the end of a session, its documents, files and settings."""

import asyncio
import logging
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from qsum_lsp.errors import QsumError
from qsum_lsp.lsp import diagnostics
from qsum_lsp.lsp.configuration import SECTION
from qsum_lsp.lsp.documents import Snapshot
from qsum_lsp.lsp.logs import ClientLogHandler
from qsum_lsp.lsp.server import QsumServer

_log = logging.getLogger(__name__)

_ANSWER_SECONDS = 10.0
_DIAGNOSTICS_PAUSE_SECONDS = 0.5
_WATCHED = ("**/.qsum.toml", "**/pyproject.toml")


async def initialized(ls: QsumServer, params: types.InitializedParams) -> None:  # noqa: ARG001
    """Ask for settings, and to be told when they change."""
    logging.getLogger("qsum_lsp").addHandler(ClientLogHandler(ls, asyncio.get_running_loop()))
    registrations = []
    if ls.client.registers_configuration:
        registrations.append(
            types.Registration(
                id="configuration",
                method=types.WORKSPACE_DID_CHANGE_CONFIGURATION,
                register_options={"section": SECTION},
            )
        )
    if ls.client.registers_watchers:
        options = types.DidChangeWatchedFilesRegistrationOptions(
            watchers=[types.FileSystemWatcher(glob_pattern=pattern) for pattern in _WATCHED]
        )
        registrations.append(
            types.Registration(
                id="files", method=types.WORKSPACE_DID_CHANGE_WATCHED_FILES, register_options=options
            )
        )
    if registrations:
        await _answered(ls.client_register_capability_async(types.RegistrationParams(registrations)))
    await _fetch_settings(ls)
    ls.state_changed()


async def shutdown(ls: QsumServer, params: None) -> None:  # noqa: ARG001
    """Stop all work; the engines are released when the process ends."""
    ls.close()


async def did_change_configuration(ls: QsumServer, params: types.DidChangeConfigurationParams) -> None:
    """Settings of the editor have changed; some clients send them, others want to be asked."""
    ls.configuration.repeat_messages()
    if ls.client.has_configuration:
        await _fetch_settings(ls)
        return
    sent = params.settings
    if isinstance(sent, dict) and SECTION in sent:  # many clients send nothing, and mean that nothing changed
        ls.configuration.change(sent[SECTION])
    _look_again(ls)


async def did_change_workspace_folders(ls: QsumServer, params: types.DidChangeWorkspaceFoldersParams) -> None:
    """Folders were added or removed."""
    ls.configuration.change_folders(
        [folder.uri for folder in params.event.added], [folder.uri for folder in params.event.removed]
    )
    await _fetch_settings(ls)


async def did_change_watched_files(ls: QsumServer, params: types.DidChangeWatchedFilesParams) -> None:  # noqa: ARG001
    """Settings files have changed."""
    ls.configuration.repeat_messages()
    _look_again(ls)


async def did_open(ls: QsumServer, params: types.DidOpenTextDocumentParams) -> None:
    """A buffer is open."""
    opened = params.text_document
    snapshot = ls.documents.open(
        opened.uri, version=opened.version, language_id=_name(opened.language_id), text=opened.text
    )
    if ls.documents.opened(opened.uri) is None:
        return
    ls.later.begin(_prepare(ls, snapshot))
    _publish_soon(ls, snapshot.uri)


async def did_change(ls: QsumServer, params: types.DidChangeTextDocumentParams) -> None:
    """A buffer has another text."""
    uri = params.text_document.uri
    if not params.content_changes:
        return
    with ls.latencies.measured("didChange"):
        text = params.content_changes[-1].text
        snapshot = ls.documents.change(uri, version=params.text_document.version, text=text)
        if snapshot is None or ls.documents.opened(uri) is None:
            return
        ls.work.edited(uri, lambda: ls.documents.opened(uri))
        _publish_soon(ls, uri)


async def did_save(ls: QsumServer, params: types.DidSaveTextDocumentParams) -> None:
    """A file was written."""
    ls.pages.read_again()
    _publish_soon(ls, params.text_document.uri)
    _have_diagnostics_pulled(ls)


async def did_close(ls: QsumServer, params: types.DidCloseTextDocumentParams) -> None:
    """A buffer is closed: nobody looks at its summaries any more."""
    uri = params.text_document.uri
    ls.documents.close(uri)
    ls.work.closed(uri)
    ls.seen.forget(uri)
    ls.pages.forget(uri)
    ls.later.cancel(uri)
    diagnostics.clear(ls, uri)


async def did_rename_files(ls: QsumServer, params: types.RenameFilesParams) -> None:
    """Files have other names; what is known of their summaries goes with them."""
    for renamed in params.files:
        ls.known.rename(renamed.old_uri, renamed.new_uri)
    ls.pages.read_again()


async def did_delete_files(ls: QsumServer, params: types.DeleteFilesParams) -> None:
    """Files are gone."""
    for deleted in params.files:
        ls.known.forget(deleted.uri)
        ls.work.closed(deleted.uri)
    ls.pages.read_again()


async def _fetch_settings(ls: QsumServer) -> None:
    if ls.client.has_configuration:
        folders = ["", *ls.configuration.folders]
        items = [types.ConfigurationItem(scope_uri=folder or None, section=SECTION) for folder in folders]
        values = await _answered(ls.workspace_configuration_async(types.ConfigurationParams(items=items)))
        for folder, value in zip(folders, values or (), strict=False):
            if value is None:
                ls.configuration.forget(folder)
            else:
                ls.configuration.change(value, folder)
    _look_again(ls)


async def _answered(request: Any) -> Any:
    """The client's answer, or None where it refuses or does not answer."""
    try:
        return await asyncio.wait_for(request, _ANSWER_SECONDS)
    except (TimeoutError, JsonRpcException) as error:
        _log.warning("the client did not answer: %r", error)
        return None


def _look_again(ls: QsumServer) -> None:
    """Settings have changed: everything that depends on them is shown anew."""
    ls.pages.read_again()
    ls.lens_refresh.want()
    ls.state_changed()
    for snapshot in ls.documents:
        ls.later.begin(_prepare(ls, snapshot))
        _publish_soon(ls, snapshot.uri)
    _have_diagnostics_pulled(ls)


async def _prepare(ls: QsumServer, snapshot: Snapshot) -> None:
    """Find out which summaries of a document the store has; lenses that were asked for before knew of none."""
    settings = ls.settings(snapshot.uri)
    if ls.backend.identity(settings) is not None:
        return
    try:
        await ls.backend.prepare(settings)
    except QsumError as error:
        _log.warning("%s", error)
    else:
        ls.look_again(snapshot)


def _publish_soon(ls: QsumServer, uri: str) -> None:
    if not ls.client.pulls_diagnostics:
        ls.later.call(uri, _DIAGNOSTICS_PAUSE_SECONDS, lambda: _publish(ls, uri))


def _have_diagnostics_pulled(ls: QsumServer) -> None:
    """What is not the text has changed, so a client that pulls does not know that it should."""
    if ls.client.refreshes_diagnostics:
        ls.diagnostics_refresh.want()


async def _publish(ls: QsumServer, uri: str) -> None:
    snapshot = ls.documents.opened(uri)
    if snapshot is not None:
        await diagnostics.publish(ls, snapshot)


def _name(language_id: object) -> str:
    return str(getattr(language_id, "value", language_id))
