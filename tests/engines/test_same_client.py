"""The same client tests against servers that are not ours and against ours, with the real model.

llama.cpp's own server stands for all others; the shared engine is met as its clients meet it.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from qsum_lsp.engines.host.place import EnginePlace
from qsum_lsp.engines.protocol import Completion, Engine, GenerationRequest, Message, RequestTooLong
from qsum_lsp.service import create_engine
from qsum_lsp.settings.values import Settings

ROOT = Path(__file__).parents[2]
TEXT = (
    "The shared engine is one process that owns a model. It listens on a Unix socket, starts when it is needed, "
    "and ends after 30 minutes without a request."
)


@pytest.fixture(scope="module")
def llama_server(real_model_path: Path) -> Iterator[str]:
    """The address of llama.cpp's own server."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engines.remote.llama_server", str(real_model_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    address = next(line for line in process.stdout if line.startswith("http")).strip()
    yield address
    process.stdin.close()
    process.kill()
    process.wait(10)
    process.stdout.close()


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QSUM_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        yield
        for place in EnginePlace.all():
            record = place.read()
            process = record.process() if record is not None else None
            if process is not None:
                process.terminate()
                psutil.wait_procs([process], timeout=30)


@pytest.fixture(params=["llama.cpp's server", "shared"])
async def engine(
    request: pytest.FixtureRequest, real_model_path: Path, own_home: None
) -> AsyncIterator[Engine]:
    if request.param == "shared":
        made = create_engine(Settings(engine="llama", model=str(real_model_path), idle_minutes=2))
    else:
        address = request.getfixturevalue("llama_server")
        made = create_engine(Settings(engine="remote", url=address, model="real"))
    yield made
    await made.aclose()


def ask(text: str = TEXT, *, most: int = 40) -> GenerationRequest:
    return GenerationRequest(
        messages=(
            Message("system", "You summarise text in one short sentence."),
            Message("user", f"{text}\n\nSummarise this in one sentence."),
        ),
        source=text,
        max_new_tokens=most,
    )


async def test_answers_and_streams_the_same_text(engine: Engine) -> None:
    plain = await engine.generate(ask())
    pieces: list[str] = []
    streamed = await engine.generate(ask(), on_text=pieces.append)
    assert "".join(pieces) == streamed.text
    assert len(pieces) > 3
    for completion in (plain, streamed):
        assert len(completion.text.split()) > 4
        assert completion.prompt_tokens > 40
        assert 4 < completion.new_tokens <= 40


async def test_the_limit_of_new_tokens_holds(engine: Engine) -> None:
    completion = await engine.generate(ask(most=5))
    assert completion.finish_reason == "length"
    assert completion.new_tokens == 5


async def test_many_at_once_are_all_answered(engine: Engine) -> None:
    answers: list[Completion] = await asyncio.gather(
        *(engine.generate(ask(f"Item {number}. {TEXT}", most=8)) for number in range(6))
    )
    assert all(answer.text.strip() for answer in answers)


async def test_tokens_are_counted_by_the_models_own_tokenizer(engine: Engine) -> None:
    counts = await engine.count_tokens(
        ["The quick brown fox jumps over the lazy dog.", "日本語のテキストを要約します。"]
    )
    assert counts[0] == 10
    assert counts[1] < 15


async def test_the_context_is_known_and_kept(engine: Engine) -> None:
    await engine.count_tokens(["x"])
    assert 512 <= engine.identity.context_tokens <= 4096
    with pytest.raises(RequestTooLong):
        await engine.generate(ask("word " * 6000))


async def test_cancelling_leaves_the_engine_to_others(engine: Engine) -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(engine.generate(ask(most=400), on_text=lambda _: begun.set()))
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (await engine.generate(ask(most=5))).new_tokens == 5


async def test_two_clients_and_a_terminal_share_one_load(real_model_path: Path, own_home: None) -> None:
    settings = Settings(engine="llama", model=str(real_model_path), idle_minutes=2)
    clients = [create_engine(settings) for _ in range(3)]
    answers = await asyncio.gather(*(each.generate(ask(most=8)) for each in clients))
    assert len({answer.text for answer in answers}) >= 1
    status = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "qsum_lsp", "engine", "status", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(status.stdout.splitlines()) == 1  # one engine
    for each in clients:
        await each.aclose()
