"""``qsum lsp``: the language server."""

import click


@click.command()
@click.option("--stdio", is_flag=True, help="Speak over standard input and output; so it does by default.")
@click.option("--tcp", is_flag=True, help="Wait for one client on a TCP port.")
@click.option("--ws", is_flag=True, help="Wait for one client on a WebSocket.")
@click.option("--host", default="127.0.0.1", show_default=True, help="With --tcp and --ws: the address.")
@click.option("--port", default=2087, show_default=True, type=click.IntRange(0, 65535), help="And the port.")
def lsp(stdio: bool, tcp: bool, ws: bool, host: str, port: int) -> int:
    """Run the language server for editors.

    It summarises sections of Markdown as hovers, code lenses and code actions. The log is in the folder `logs` of
    QSUM_HOME, and in the editor's own log view.
    """
    if stdio + tcp + ws > 1:
        raise click.UsageError("--stdio, --tcp and --ws exclude each other.")
    from qsum_lsp.lsp.serving import serve

    exit_code = serve("tcp" if tcp else "ws" if ws else "stdio", host=host, port=port)
    if exit_code:
        from qsum_lsp.cli.terminal import leave_stdout

        leave_stdout()  # the client may have gone in the middle of an answer
    return exit_code
