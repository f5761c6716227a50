"""``qsum engine``: the shared engine, for people who want to see or steer it."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from qsum_lsp.cli.options import Command, Overrides
from qsum_lsp.engines.host.launcher import ALREADY_RUNNING, Launcher
from qsum_lsp.engines.host.place import EnginePlace, EngineRecord
from qsum_lsp.errors import EngineUnavailable, QsumError
from qsum_lsp.service import (
    create_local_engine,
    engine_command,
    engine_identity,
    engine_name,
    shared_settings,
)
from qsum_lsp.settings import Settings, check_settings

_STOP_SECONDS = 40.0
_MOST_DEATHS = 3


@click.group()
def engine() -> None:
    """Start, stop and look at the shared engine.

    One process loads the model and serves every editor, hook and terminal of yours on this machine. It starts by
    itself when it is needed and ends when it has been idle (`idle_minutes`); these commands are for looking and
    for special cases. Another version of qsum, or other settings, mean another engine beside it.
    """


def _engine_settings(command: Command) -> Command:
    """Options for the settings that an engine depends on; the rest comes from the settings files."""
    for option in (
        click.option("--device", metavar="D", help="auto, cpu, cuda, cuda:1, mps …"),
        click.option(
            "--model", metavar="M", help="An alias, a path to a GGUF file or a folder, or a hub name."
        ),
        click.option("--engine", "engine_choice", metavar="E", help="auto, llama or torch."),
    ):
        command = option(command)
    return command


def _settings(engine_choice: str | None, model: str | None, device: str | None) -> Settings:
    overrides = Overrides.of(engine=engine_choice, model=model, device=device)
    settings = overrides.settings_for(Path.cwd()).values
    if engine_name(settings) in {"remote", "extractive"}:
        raise EngineUnavailable(
            f'`engine = "{settings.engine}"` has no model on this machine, so nothing is shared. '
            "Use --engine llama or --engine torch."
        )
    return shared_settings(settings)


def _place(settings: Settings) -> EnginePlace:
    return EnginePlace.of(settings, engine_identity(settings))


@engine.command()
@_engine_settings
@click.option("--tcp", is_flag=True, help="Listen on 127.0.0.1 with a token instead of a Unix socket.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="With --tcp; a free port by default.")
@click.option("--settings", "settings_json", hidden=True, help="All settings as JSON, in place of the files.")
@click.option("--place", "place_name", hidden=True, help="Where the client that starts it will look for it.")
def run(
    engine_choice: str | None,
    model: str | None,
    device: str | None,
    tcp: bool,
    port: int,
    settings_json: str | None,
    place_name: str | None,
) -> int:
    """Run the shared engine in the foreground, until it is stopped or idle."""
    from qsum_lsp.engines.host.process import AlreadyRunning, EngineProcess

    if settings_json is None:
        settings = _settings(engine_choice, model, device)
    else:
        settings = Settings(**check_settings(json.loads(settings_json), where="--settings"))
    place = EnginePlace(place_name) if place_name else _place(settings)
    if tcp:
        click.echo(f"The address and the token will be in {place.record_path}.", err=True)

    async def serve() -> None:
        process = EngineProcess(
            create_local_engine(settings),
            place,
            idle_minutes=settings.idle_minutes,
            tcp=tcp or sys.platform == "win32",
            port=port,
        )
        await process.run()

    try:
        asyncio.run(serve())
    except AlreadyRunning:
        click.echo("qsum: this engine is running already; `qsum engine status` shows it.", err=True)
        return ALREADY_RUNNING
    except QsumError as error:
        place.write_failure(str(error))
        raise
    return 0


@engine.command()
@_engine_settings
def start(engine_choice: str | None, model: str | None, device: str | None) -> None:
    """Start the shared engine where it does not run, and wait until the model is loaded."""
    settings = _settings(engine_choice, model, device)
    place = _place(settings)
    launcher = Launcher(place, engine_command(settings, place))
    health = asyncio.run(_start(launcher))
    click.echo(_described(health))


async def _start(launcher: Launcher) -> dict[str, Any]:
    """Raises EngineUnavailable where it does not load."""
    began = time.time()
    dead: set[EngineRecord] = set()
    while len(dead) < _MOST_DEATHS:
        record = await launcher.ensure()
        health = await _health(record)
        match health.get("state"):
            case "ready":
                return health
            case "failed":
                raise EngineUnavailable(str(health["detail"]))
        if (failure := launcher.place.failure_since(began)) is not None:
            raise EngineUnavailable(failure)
        await asyncio.sleep(0.1)
        if record.process() is None:
            dead.add(record)
    raise EngineUnavailable(
        f"The shared engine ended {_MOST_DEATHS} times while it loaded its model (out of memory?). "
        f"Its log is {launcher.place.log}."
    )


@engine.command()
def stop() -> None:
    """Stop all shared engines of yours; what they are working on is finished first."""
    running = _running()
    if not running:
        click.echo("No shared engine runs.")
    for _, record in running:
        process = record.process()
        if process is not None:
            process.terminate()
    give_up_at = time.monotonic() + _STOP_SECONDS
    while any(record.process() for _, record in running) and time.monotonic() < give_up_at:
        time.sleep(0.05)
    for _, record in running:
        record.kill()
    for _, record in running:
        click.echo(f"Stopped {record.model} (process {record.pid}).")


@engine.command()
@click.option("--json", "as_json", is_flag=True, help="JSON Lines: one object an engine.")
def status(as_json: bool) -> int:
    """Show the shared engines that run; exit code 1 where there is none."""
    running = _running()
    for place, record in running:
        health = asyncio.run(_health(record)) or {"state": "stalled", "pid": record.pid}
        health |= {"address": record.address, "log": str(place.log)}
        click.echo(json.dumps(health, ensure_ascii=False) if as_json else _described(health))
    if not running and not as_json:
        click.echo("No shared engine runs. It starts when it is needed, or with `qsum engine start`.")
    return 0 if running else 1


def _running() -> list[tuple[EnginePlace, EngineRecord]]:
    found = ((place, place.read()) for place in EnginePlace.all())
    return [(place, record) for place, record in found if record is not None and record.process() is not None]


async def _health(record: EngineRecord) -> dict[str, Any]:
    from qsum_lsp.engines.host.connection import Connection

    connection = Connection(record)
    try:
        return await connection.health()
    finally:
        await connection.aclose()


def _described(health: dict[str, Any]) -> str:
    """A few lines for people."""
    identity = health.get("identity") or {}
    memory, speed = health.get("memory_bytes"), health.get("tokens_per_second")
    lines = [
        f"{identity.get('model', 'engine')}: {health.get('state')}, process {health.get('pid')}",
        f"  up       {health.get('uptime_seconds', 0):.0f} s",
        f"  engine   {identity.get('name', '?')} on {health.get('device') or '?'}",
        f"  memory   {f'{memory / 2**20:.0f} MiB' if memory else '?'}",
        f"  queue    {health.get('running', 0)} running, {health.get('waiting', 0)} waiting",
        f"  speed    {f'{speed:.0f} tokens/s (last 30 s)' if speed else 'idle'}",
        f"  clients  {health.get('clients', 0)} in the last 5 minutes",
    ]
    if health.get("detail"):
        lines.append(f"  note     {health['detail']}")
    return "\n".join(lines)
