"""The hook ``qsum-check``: stale or missing summaries fail the commit. It needs no model and no network."""

import sys
from collections.abc import Sequence

from qsum_hooks.arguments import safe
from qsum_lsp.cli.main import run


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``qsum check`` on the file names in ``argv``; the hook's exit code."""
    return run(["check", *safe(sys.argv[1:] if argv is None else argv)], is_hook=True)


if __name__ == "__main__":
    sys.exit(main())
