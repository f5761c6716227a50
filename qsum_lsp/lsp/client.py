"""What the client can do and wants, by what it said at the start."""

from collections.abc import Mapping
from typing import Any

from lsprotocol import types


class Client:
    """The client's abilities; none before ``started``."""

    def __init__(self) -> None:
        self._capabilities = types.ClientCapabilities()
        self._options: Mapping[str, Any] = {}

    def started(self, params: types.InitializeParams) -> None:
        """Take in the first request."""
        self._capabilities = params.capabilities
        options = params.initialization_options
        self._options = options if isinstance(options, Mapping) else {}

    @property
    def settings(self) -> object:
        """The editor settings at the start."""
        return self._options.get("settings")

    @property
    def trusts_workspace(self) -> bool:
        """Whether settings files of the workspace may be used; they can name servers and keys."""
        return self._options.get("workspaceTrusted") is not False

    @property
    def wants_status(self) -> bool:
        """Whether to send ``qsum/status``."""
        return self._options.get("statusNotifications") is True

    @property
    def wants_summary_changes(self) -> bool:
        """Whether to send ``qsum/summariesChanged``; such a client shows summaries itself."""
        return self._options.get("summaryNotifications") is True

    @property
    def refreshes_lenses(self) -> bool:
        """Whether it can be asked to fetch code lenses again."""
        workspace = self._capabilities.workspace
        return bool(workspace and workspace.code_lens and workspace.code_lens.refresh_support)

    @property
    def refreshes_diagnostics(self) -> bool:
        """Whether it can be asked to fetch diagnostics again."""
        workspace = self._capabilities.workspace
        return bool(workspace and workspace.diagnostics and workspace.diagnostics.refresh_support)

    @property
    def pulls_diagnostics(self) -> bool:
        """Whether it fetches diagnostics itself."""
        document = self._capabilities.text_document
        return bool(document and document.diagnostic)

    @property
    def has_configuration(self) -> bool:
        """Whether it can be asked for settings."""
        workspace = self._capabilities.workspace
        return bool(workspace and workspace.configuration)

    @property
    def registers_watchers(self) -> bool:
        """Whether it can be asked to watch files."""
        workspace = self._capabilities.workspace
        watched = workspace.did_change_watched_files if workspace else None
        return bool(watched and watched.dynamic_registration)

    @property
    def registers_configuration(self) -> bool:
        """Whether it can be asked to tell when settings change."""
        workspace = self._capabilities.workspace
        changes = workspace.did_change_configuration if workspace else None
        return bool(changes and changes.dynamic_registration)

    @property
    def applies_edits(self) -> bool:
        """Whether the server may ask it to apply an edit."""
        workspace = self._capabilities.workspace
        return bool(workspace and workspace.apply_edit) or self._options.get("appliesEdits") is True

    @property
    def takes_versioned_edits(self) -> bool:
        """Whether edits can name the version that they are made for."""
        workspace = self._capabilities.workspace
        edit = workspace.workspace_edit if workspace else None
        return bool(edit and edit.document_changes)

    @property
    def resolves_edits(self) -> bool:
        """Whether it asks for the edit of a code action when that is chosen."""
        document = self._capabilities.text_document
        action = document.code_action if document else None
        if action is None or not action.data_support or action.resolve_support is None:
            return False
        return "edit" in action.resolve_support.properties

    @property
    def takes_code_actions(self) -> bool:
        """Whether it takes code actions, and not commands alone."""
        document = self._capabilities.text_document
        action = document.code_action if document else None
        return bool(action and action.code_action_literal_support)

    @property
    def shows_markdown(self) -> bool:
        """Whether hovers may be Markdown."""
        document = self._capabilities.text_document
        hover = document.hover if document else None
        formats = hover.content_format if hover else None
        return bool(formats and formats[0] == types.MarkupKind.Markdown)
