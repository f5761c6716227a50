"""Clients and a scripted engine, in processes of their own: find, start, share, repeat, leave."""

import asyncio
import os
import signal
import stat
from dataclasses import replace

import pytest

from qsum_lsp import home
from qsum_lsp.document import parse
from qsum_lsp.engines.host import shared
from qsum_lsp.engines.host.place import EnginePlace
from qsum_lsp.engines.protocol import EngineFailed, GenerationRequest, Message, Priority, RequestTooLong
from qsum_lsp.errors import EngineUnavailable
from qsum_lsp.summaries import Summarizer, SummaryOptions
from tests.engines.host.engines import Engines
from tests.engines.host.scripted_host import IDENTITY, client
from tests.summaries.support import DictStore

NAME = "0123456789abcdef"
ROUNDS = int(os.environ.get("QSUM_TEST_ROUNDS", "3"))


def ask(source: str = "alpha beta gamma", priority: Priority = Priority.BATCH) -> GenerationRequest:
    message = Message("user", f"Summarise: {source}")
    return GenerationRequest(messages=(message,), source=source, max_new_tokens=64, priority=priority)


async def test_starts_the_engine_answers_and_streams(engines: Engines) -> None:
    engine = client(NAME)
    assert engine.identity == IDENTITY
    assert engine.status().state == "unloaded"
    assert engines.loads() == []
    pieces: list[str] = []
    completion = await engine.generate(ask(), on_text=pieces.append)
    assert completion.text == "".join(pieces) == "alpha beta gamma."
    assert (completion.prompt_tokens, completion.new_tokens) == (4, 3)
    assert (await engine.generate(ask())).text == completion.text
    assert await engine.count_tokens(["a b c", "", "d"]) == [3, 0, 1]
    assert engine.status().state == "ready"
    await engine.aclose()
    assert len(engines.loads()) == 1
    with pytest.raises(EngineUnavailable):
        await engine.generate(ask())


async def test_texts_of_any_size_are_counted() -> None:
    engine = client(NAME)
    long = "\u4e00 \n" * 1_000_000  # 6 MB in JSON
    short = ["a b c"] * 3
    words = "word " * 60_000
    assert await engine.count_tokens([*short, *[words] * 30, long, *short]) == [3] * 3 + [60_000] * 30 + [
        1_000_000,
        *[3] * 3,
    ]
    assert await engine.count_tokens([]) == []
    await engine.aclose()


async def test_a_page_of_many_megabytes_is_summarised() -> None:
    engine = client(NAME)
    words = "The server reads its settings once at start and keeps them until it stops. " * 400
    page = "# Guide\n\n" + "\n\n".join(f"## Part {number}\n\n{words}" for number in range(160))
    summarizer = Summarizer(engine, DictStore())
    ids = {f"1.{number}" for number in range(1, 161)}
    found = await summarizer.summarize(parse(page), SummaryOptions(), only=ids)
    assert found.summaries.keys() == ids
    await engine.aclose()


@pytest.mark.parametrize("model", ["scripted", "bigger"])
async def test_a_smaller_engine_is_known_with_its_first_answer(engines: Engines, model: str) -> None:
    engine = client(NAME)
    engine._expected = replace(IDENTITY, model=model, fingerprint="bigger-1")
    assert engine.identity.fingerprint == "bigger-1"
    assert (await engine.generate(ask())).text == "alpha beta gamma."
    assert engine.identity == IDENTITY
    await engine.aclose()
    assert client(NAME).identity == IDENTITY  # another program, whose first document so has the right keys
    record = EnginePlace(NAME).read()
    assert record is not None
    record.kill()
    later = client(NAME)
    later._expected = replace(IDENTITY, model=model, fingerprint="bigger-1")
    assert later.identity == IDENTITY


async def test_which_engine_answers_is_waited_for_while_it_loads(engines: Engines) -> None:
    place = EnginePlace(NAME)
    place.prepare()
    place.remember(replace(IDENTITY, model="smaller"))  # as where the memory was short the last time
    engine = client(NAME, load_seconds=1.0)
    sources = ["one", "two"]
    answers = await asyncio.gather(*(engine.generate(ask(source)) for source in sources))
    assert [answer.text for answer in answers] == ["one.", "two."]
    assert engine.identity == IDENTITY
    await engine.aclose()


async def test_four_clients_share_one_load(engines: Engines) -> None:
    clients = [client(NAME, load_seconds=0.3) for _ in range(4)]
    sources = [f"client {index} section {number}" for index in range(4) for number in range(10)]
    answers = await asyncio.gather(
        *(clients[index // 10].generate(ask(source)) for index, source in enumerate(sources))
    )
    assert [answer.text for answer in answers] == [f"{source}." for source in sources]
    assert len(engines.loads()) == len(engines.alive()) == 1
    for engine in clients:
        await engine.aclose()


async def test_errors_of_one_request_keep_their_kind(engines: Engines) -> None:
    engine = client(NAME)
    with pytest.raises(EngineFailed, match="as the script says"):
        await engine.generate(ask("fail"))
    with pytest.raises(RequestTooLong, match="as the script says"):
        await engine.generate(ask("long"), on_text=lambda _: None)
    assert (await engine.generate(ask("fine"))).text == "fine."
    assert len(engines.loads()) == 1
    await engine.aclose()


async def test_a_load_error_reaches_every_waiting_client_as_it_is(engines: Engines) -> None:
    clients = [client(NAME, load_seconds=0.3, failure="There is no model file here.") for _ in range(5)]
    results = await asyncio.gather(*(each.generate(ask()) for each in clients), return_exceptions=True)
    assert [str(result) for result in results] == ["There is no model file here."] * 5
    assert all(isinstance(result, EngineUnavailable) for result in results)
    assert len(engines.loads()) == 1
    assert clients[0].status().state == "failed"
    with pytest.raises(EngineUnavailable, match="no model file"):
        await clients[0].generate(ask())  # remembered: no new process for each attempt
    assert len(engines.loads()) == 1
    for each in clients:
        await each.aclose()


async def test_a_process_that_cannot_even_start_is_explained(engines: Engines) -> None:
    engine = client(NAME)
    engine._launcher._command = [engine._launcher._command[0], "-c", "raise SystemExit('no such thing')"]
    with pytest.raises(EngineUnavailable, match=r"exit code 1 while it started: no such thing\. Its log is"):
        await engine.generate(ask())
    await engine.aclose()


async def test_closing_while_the_engine_starts_tells_all_who_wait(engines: Engines) -> None:
    engine = client(NAME)
    waiting = [asyncio.create_task(engine.generate(ask())) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await engine.aclose()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [repr(result) for result in results] == ["EngineUnavailable('The engine is closed.')"] * 3


async def test_cancelling_frees_the_engine_within_a_step(engines: Engines) -> None:
    engine = client(NAME, seconds_per_word=0.5)
    for on_text in (None, lambda _: None):
        task = asyncio.create_task(engine.generate(ask("one two three four five six"), on_text=on_text))
        await asyncio.sleep(1.0 if not engines.loads() else 0.3)
        await until_running(engine, 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        began = asyncio.get_running_loop().time()
        await until_running(engine, 0)
        assert asyncio.get_running_loop().time() - began < 2  # the answer itself would take three
    await engine.aclose()


async def running(engine: shared.SharedEngine) -> int | None:
    connection = engine._connection
    return None if connection is None else (await connection.health()).get("running")


async def until_running(engine: shared.SharedEngine, wanted: int) -> None:
    async with asyncio.timeout(10):
        while await running(engine) != wanted:  # noqa: ASYNC110 — another process
            await asyncio.sleep(0.02)


async def test_a_killed_engine_is_restarted_and_the_lost_requests_repeated(engines: Engines) -> None:
    engine = client(NAME, seconds_per_word=0.02)
    for round_number in range(ROUNDS):
        sources = [f"round {round_number} section {number} of a page" for number in range(12)]
        document = asyncio.gather(*(engine.generate(ask(source)) for source in sources))
        await asyncio.sleep(0.05 + 0.03 * (round_number % 10))
        await kill(engine, engines)
        assert [answer.text for answer in await document] == [f"{source}." for source in sources]
    assert len(engines.alive()) == 1
    await engine.aclose()


async def kill(engine: shared.SharedEngine, engines: Engines) -> None:
    async with asyncio.timeout(30):
        while not (alive := engines.alive()):  # noqa: ASYNC110 — another process
            await asyncio.sleep(0.02)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)


async def test_a_request_that_kills_the_engine_fails_after_its_repetition(engines: Engines) -> None:
    engine = client(NAME)
    with pytest.raises(EngineFailed, match="died twice"):
        await engine.generate(ask("die"))
    assert len(engines.loads()) == 2
    assert (await engine.generate(ask("fine"))).text == "fine."
    await engine.aclose()


async def test_an_engine_that_failed_makes_room_for_another(engines: Engines) -> None:
    engine = client(NAME)
    assert (await engine.generate(ask())).text == "alpha beta gamma."
    with pytest.raises(EngineUnavailable, match="as the script says"):
        await engine.generate(ask("break"))
    async with asyncio.timeout(20):
        while engines.alive():  # noqa: ASYNC110 — another process
            await asyncio.sleep(0.05)
    other = client(NAME)
    assert (await other.generate(ask())).text == "alpha beta gamma."
    assert len(engines.loads()) == 2
    for each in (engine, other):
        await each.aclose()


async def test_a_hanging_engine_is_ended_and_replaced(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qsum_lsp.engines.host import connection

    monkeypatch.setattr(shared, "_HEALTH_EVERY_SECONDS", 0.2)
    monkeypatch.setattr(connection, "_HEALTH_SECONDS", 1.0)
    engine = client(NAME)
    await engine.generate(ask())
    (pid,) = engines.alive()
    os.kill(pid, signal.SIGSTOP)
    assert (await engine.generate(ask("after the stop"))).text == "after the stop."
    assert pid not in engines.alive()
    assert len(engines.loads()) == 2
    await engine.aclose()


async def test_a_stopping_engine_finishes_what_runs_and_hands_back_the_rest(engines: Engines) -> None:
    engine = client(NAME, seconds_per_word=0.05)
    await engine.generate(ask())
    sources = [f"section {number} of a page that is long enough" for number in range(40)]
    document = asyncio.gather(*(engine.generate(ask(source)) for source in sources))
    await asyncio.sleep(0.2)
    os.kill(engines.alive()[0], signal.SIGTERM)
    assert [answer.text for answer in await document] == [f"{source}." for source in sources]
    assert len(engines.loads()) == 2  # those in the queue went to the next one
    await engine.aclose()


async def test_an_idle_engine_leaves_and_takes_its_files_along(engines: Engines) -> None:
    engine = client(NAME, idle_minutes=1 / 60)
    await engine.generate(ask())
    await engine.aclose()
    async with asyncio.timeout(20):
        while engines.alive():  # noqa: ASYNC110 — another process
            await asyncio.sleep(0.05)
    place = EnginePlace(NAME)
    assert not place.socket.exists()
    assert place.read() is None


async def test_other_settings_are_another_engine_beside_it(engines: Engines) -> None:
    first, second = client(NAME), client("fedcba9876543210")
    await asyncio.gather(first.generate(ask()), second.generate(ask()))
    assert len(engines.alive()) == 2
    await first.aclose()
    await second.aclose()


async def test_socket_and_record_are_this_users_alone(engines: Engines) -> None:
    engine = client(NAME)
    await engine.generate(ask())
    place = EnginePlace(NAME)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (place.socket, place.record_path)}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(home.run_folder().stat().st_mode) == 0o700
    await engine.aclose()


async def test_a_long_home_falls_back_to_a_short_socket_path(
    engines: Engines,
    tmp_path,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    long_home = tmp_path / ("x" * 120) / "home"
    long_home.mkdir(parents=True)
    monkeypatch.setenv("QSUM_HOME", str(long_home))
    engine = client(NAME)
    assert (await engine.generate(ask("far away"))).text == "far away."
    socket = EnginePlace(NAME).socket
    assert len(os.fsencode(socket)) < 104
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    await engine.aclose()
    record = EnginePlace(NAME).read()
    assert record is not None
    os.kill(record.pid, signal.SIGTERM)
