"""The root command. A command's module is imported when that command runs, so that ``qsum`` starts quickly."""

from dataclasses import dataclass
from importlib import import_module

import click

from qsum_lsp import __version__

_COMMANDS = {
    "summarize": ("qsum_lsp.cli.summarize", "Summarise pages and each of their sections."),
    "outline": ("qsum_lsp.cli.outline", "List the sections of pages; no model is used."),
    "update": ("qsum_lsp.cli.update", "Write stale and missing summaries into front matter."),
    "check": (
        "qsum_lsp.cli.check",
        "Say which front-matter summaries are stale or missing; no model is used.",
    ),
    "lsp": ("qsum_lsp.cli.lsp", "Run the language server for editors."),
    "models": ("qsum_lsp.cli.models", "List, download and find models."),
    "engine": ("qsum_lsp.cli.engine", "Start, stop and look at the shared engine."),
    "bench": ("qsum_lsp.cli.bench", "Measure the engine on this machine."),
    "eval": ("qsum_lsp.cli.eval", "Measure summaries against descriptions written by people."),
}

_HELP = """Summaries for every section of a Markdown page, by a model on this machine.

\b
Start here:
  qsum summarize README.md         what the page and each section say
  qsum outline README.md           its sections, without a model
  qsum update docs/                write summaries into the front matter
  qsum check docs/                 are they up to date? (for CI: no model, no network)

The first summary downloads the default model once (1.1 GB). `--engine extractive` needs none: it picks the
best sentence instead. Summaries are cached by content; only what changed is made again.

\b
Settings come from `.qsum.toml` or `[tool.qsum]` in `pyproject.toml`, nearest first:
  engine = "auto"                  auto, llama, torch, remote or extractive
  model = "qwen2.5-coder-1.5b"     an alias (`qsum models list`), a path, or a hub name
  exclude = ["docs/generated/"]
"""

_EPILOG = """\b
Exit codes: 0 nothing to report; 1 changed, stale or missing; 2 wrong usage or settings;
3 no engine or model; 4 a file could not be read or written.
Environment: QSUM_HOME moves everything qsum keeps; QSUM_OFFLINE=1 forbids every download.
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who runs a command: people name the files that they mean, hooks name all that a commit changes."""

    is_hook: bool


def called_by_hook() -> bool:
    """Whether the command that runs now was called by a hook."""
    caller = click.get_current_context().find_object(Caller)
    return caller is not None and caller.is_hook


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 — click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, _ = _COMMANDS[cmd_name]
        command = getattr(import_module(module), cmd_name if cmd_name != "eval" else "evaluate")
        if not isinstance(command, click.Command):
            raise TypeError(f"{module} has no command '{cmd_name}'")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(
    cls=_LazyGroup,
    help=_HELP,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
@click.version_option(__version__, message="qsum %(version)s")
def root() -> None:
    """Run the root command; click shows ``_HELP``."""
