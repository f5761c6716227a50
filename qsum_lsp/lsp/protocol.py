"""JSON-RPC as pygls speaks it, with the answers that it leaves out."""

import asyncio
import inspect
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from lsprotocol import types
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInternalError,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcMethodNotFound,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import (
    JsonRPCNotification,
    JsonRPCRequestMessage,
    LanguageServerProtocol,
    lsp_method,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlainJson:
    """A result that is JSON already, in UTF-8: sent without a look at each of its values."""

    encoded: bytes

    @classmethod
    def of(cls, value: Any) -> "PlainJson":
        """``value``, written out."""
        return cls(msgspec.json.encode(value))


class QsumProtocol(LanguageServerProtocol):
    """Every request is answered: also the malformed, the early and the late ones. Commands can be cancelled."""

    def __init__(self, server: Any, converter: Any) -> None:
        super().__init__(server, converter)
        self._heard: Callable[[], None] = server.heard
        self._client_is_gone = False
        self._writing: set[asyncio.Future[Any]] = set()

    @property
    def is_shut_down(self) -> bool:
        """Whether the client has ended the session in order."""
        return self._shutdown

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Leave JSON objects as they are; ``handle_message`` looks at whole messages, never at a part of one."""
        return data

    def handle_message(self, message: Any) -> None:
        """Answer a request, take a notification or a response."""
        self._heard()
        if not isinstance(message, dict) or message.get("jsonrpc") != self.VERSION:
            _log.warning("ignored a message that is no JSON-RPC 2.0")
            return
        method, msg_id = message.get("method"), message.get("id")
        if method is None and not self._is_awaited(msg_id):
            return
        request_id = msg_id if method is not None and isinstance(msg_id, str | int) else None
        refused = self._refusal(method) if request_id is not None else None
        try:
            if refused is not None:
                raise refused
            super().handle_message(self._structured(message, method))
        except JsonRpcException as error:
            _log.warning("refused a message: %s: %s", method or "a response", error)
            if method is None:
                self._fail(msg_id, error)
            elif request_id is not None:
                self._send_response(request_id, None, error.to_response_error())

    def _is_awaited(self, msg_id: object) -> bool:
        """Whether somebody still waits for the response ``msg_id``; pygls fails on one that comes too late."""
        if not isinstance(msg_id, str | int):
            return False
        future = self._request_futures.get(msg_id)
        if future is not None and future.done():
            del self._request_futures[msg_id]
            self._result_types.pop(msg_id, None)
            return False
        return future is not None

    def _fail(self, msg_id: Any, error: JsonRpcException) -> None:
        """Let the one who waits for the response ``msg_id`` know that it cannot be read; pygls lets it wait."""
        self._result_types.pop(msg_id, None)
        future = self._request_futures.pop(msg_id, None)
        if future is not None and not future.done():
            future.set_exception(error)

    def _refusal(self, method: object) -> JsonRpcException | None:
        if self._shutdown:
            return JsonRpcInvalidRequest("The server is shutting down.")
        if self._workspace is None and method != types.INITIALIZE:
            return JsonRpcServerNotInitialized("The server is not initialized.")
        if self._workspace is not None and method == types.INITIALIZE:
            return JsonRpcInvalidRequest("The server is initialized already.")
        return None

    def _structured(self, message: dict[str, Any], method: object) -> Any:
        """``message`` as lsprotocol's class; the params of our own methods stay JSON."""
        if isinstance(method, str) and self.get_message_type(method) is None:
            params = message.get("params")
            if "id" in message:
                return JsonRPCRequestMessage(message["id"], method, self.VERSION, params)
            return JsonRPCNotification(method, self.VERSION, params)
        if method is not None and not isinstance(method, str):
            raise JsonRpcInvalidRequest("The method must be a string.")
        structured = super().structure_message(message)
        if isinstance(structured, dict):
            raise JsonRpcInvalidParams()
        return structured

    def _send_data(self, data: Any) -> None:
        if self.writer is None or self._client_is_gone:
            return
        result = getattr(data, "result", None)
        try:
            if isinstance(result, PlainJson):
                body = msgspec.json.encode(
                    {"jsonrpc": self.VERSION, "id": data.id, "result": msgspec.Raw(result.encoded)}
                )
            else:
                body = json.dumps(data, default=self._serialize_message).encode()
        except Exception as error:
            self._server._report_server_error(error, JsonRpcInternalError)
            return
        header = b"Content-Length: %d\r\n\r\n" % len(body) if self._include_headers else b""
        try:
            written = self.writer.write(header + body)
        except (OSError, ValueError) as error:  # a closed pipe
            self._leave(error)
            return
        if inspect.isawaitable(written):
            self._writing.add(writing := asyncio.ensure_future(written))
            writing.add_done_callback(self._written)

    def _written(self, writing: "asyncio.Future[Any]") -> None:
        self._writing.discard(writing)
        if not writing.cancelled() and (error := writing.exception()) is not None:
            self._leave(error)

    def _leave(self, error: BaseException) -> None:
        """Say once that nobody reads any more; the end of the input ends the server."""
        if not self._client_is_gone:
            self._client_is_gone = True
            _log.warning("the client is gone: %s", error)

    @lsp_method(types.WORKSPACE_EXECUTE_COMMAND)
    async def lsp_workspace__execute_command(self, params: types.ExecuteCommandParams) -> Any:  # type: ignore[override]
        """Run a command as a coroutine, which ``$/cancelRequest`` really cancels; pygls lets its own run on."""
        handler = self.fm.commands.get(params.command)
        if handler is None:
            raise JsonRpcMethodNotFound(f"There is no command {params.command!r}.")
        return await handler(params)
