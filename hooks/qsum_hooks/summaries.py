"""The hook ``qsum-summaries``: writes stale and missing summaries of the pages in a commit."""

import os
import sys
from collections.abc import Sequence

from qsum_hooks.arguments import safe
from qsum_lsp.errors import EngineUnavailable


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``qsum update`` on the file names in ``argv``; the hook's exit code.

    A missing model, engine or network stops no commit: what was left undone is said, and the code is 0, unless
    ``--require-model`` is among the arguments or a page was changed or has failed. Nothing is downloaded while
    somebody waits for a commit.
    """
    arguments = safe(sys.argv[1:] if argv is None else argv)
    require_model = "--require-model" in arguments
    arguments = [argument for argument in arguments if argument != "--require-model"]
    os.environ.setdefault("QSUM_OFFLINE", "1")
    from qsum_lsp.cli.main import run  # after the environment is set

    code = run(["update", *arguments], is_hook=True)
    if code == EngineUnavailable.exit_code and not require_model:
        sys.stderr.write(
            "qsum: summaries were left as they are. To have them written, run once: qsum models pull\n"
            '(or set engine = "extractive" in .qsum.toml, which needs no model); then: qsum update\n'
        )
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
