"""``python -m qsum_lsp`` is ``qsum``."""

from qsum_lsp.cli import main

if __name__ == "__main__":
    main()
