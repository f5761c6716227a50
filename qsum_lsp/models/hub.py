"""Model files from a model hub, over HTTPS."""

import os
import queue
import threading
import time
from typing import TYPE_CHECKING

from qsum_lsp.http_environment import UnusableEnvironment, from_environment
from qsum_lsp.models.entries import HubSource, ModelEntry
from qsum_lsp.models.partial import OnBytes, PartialFile, SourceFailed

if TYPE_CHECKING:
    import httpx

_DEFAULT_ENDPOINT = "https://huggingface.co"
_CONNECT_SECONDS = 4.0
_ANSWER_SECONDS = 10.0  # names, connections and redirects together
_STALL_SECONDS = 30.0
_REMEMBER_SECONDS = 300.0

_unreachable: dict[str, float] = {}  # endpoint -> until when (monotonic) it is not asked again


def download_from_hub(source: HubSource, model: ModelEntry, partial: PartialFile, on_bytes: OnBytes) -> None:
    """Complete ``partial`` from the hub, beginning where it ends.

    ``HF_ENDPOINT`` names another hub, ``HF_HUB_OFFLINE`` forbids it; the usual proxy variables count. A hub that
    does not answer is given up after seconds and not asked again for five minutes. Raises SourceFailed, OSError.
    """
    import httpx

    if os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "TRUE", "YES", "ON"):
        raise SourceFailed("HF_HUB_OFFLINE is set")
    endpoint = (os.environ.get("HF_ENDPOINT") or _DEFAULT_ENDPOINT).rstrip("/")
    if time.monotonic() < _unreachable.get(endpoint, 0.0):
        raise SourceFailed(f"{endpoint} did not answer a moment ago")
    url = f"{endpoint}/{source.repository}/resolve/{source.revision}/{model.file}"
    timeout = httpx.Timeout(_STALL_SECONDS, connect=_CONNECT_SECONDS)
    try:
        with _client(timeout) as client:
            while partial.size() < model.size:
                before = partial.size()
                try:
                    _receive(client, url, model.size, partial, on_bytes)
                except httpx.TransportError:
                    # A broken line is taken up again for as long as it brings anything.
                    if partial.size() <= before:
                        raise
                if partial.size() <= before:
                    raise _WrongAnswer(f"sends only {partial.size():,} bytes instead of {model.size:,}")
    except _NoAnswer as error:
        _unreachable[endpoint] = time.monotonic() + _REMEMBER_SECONDS
        raise SourceFailed(f"{endpoint} cannot be reached: {error}") from error
    except _WrongAnswer as error:
        raise SourceFailed(f"{endpoint} {error}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceFailed(f"{endpoint}: {_reason(error)}") from error


class _NoAnswer(Exception):
    """Nothing came from the hub within the time that a reachable one needs."""


class _WrongAnswer(Exception):
    """The hub answered, but not with the file."""


def _client(timeout: "httpx.Timeout") -> "httpx.Client":
    """Raises SourceFailed where the environment's proxies or certificates cannot be used."""
    import httpx

    try:
        return from_environment(lambda: httpx.Client(timeout=timeout, follow_redirects=True))
    except UnusableEnvironment as error:
        raise SourceFailed(f"the proxy variables or SSL_CERT_FILE cannot be used: {error}") from error


def _receive(client: "httpx.Client", url: str, size: int, partial: PartialFile, on_bytes: OnBytes) -> None:
    offset = partial.size()
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    response = _answer(client, client.build_request("GET", url, headers=headers))
    try:
        if response.status_code == 200:
            offset = 0
        elif response.status_code != 206 or not response.headers.get("Content-Range", "").startswith(
            f"bytes {offset}-"
        ):
            raise _WrongAnswer(f"answered {response.status_code} {response.reason_phrase}".rstrip())
        length = response.headers.get("Content-Length")
        if length is not None and offset + int(length) != size:
            raise _WrongAnswer(f"offers {offset + int(length):,} bytes instead of {size:,}")
        done = offset
        with partial.append_at(offset) as file:
            for chunk in response.iter_raw():  # as it comes: a larger chunk would be lost with the line
                done += len(chunk)
                if done > size:
                    raise _WrongAnswer(f"sends more than {size:,} bytes")
                file.write(chunk)
                on_bytes(done)
    finally:
        response.close()


def _answer(client: "httpx.Client", request: "httpx.Request") -> "httpx.Response":
    """The head of the answer, within a bounded time.

    A thread of its own bounds what no timeout of a socket covers: a name server that does not answer.
    """
    import httpx

    answers: queue.SimpleQueue[httpx.Response | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(client.send(request, stream=True))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True, name="qsum-hub").start()
    try:
        answer = answers.get(timeout=_ANSWER_SECONDS)
    except queue.Empty:
        raise _NoAnswer(f"no answer within {_ANSWER_SECONDS:.0f} seconds") from None
    if isinstance(answer, httpx.ConnectError | httpx.TimeoutException | httpx.ProxyError):
        raise _NoAnswer(_reason(answer)) from answer
    if isinstance(answer, Exception):
        raise answer
    return answer


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
