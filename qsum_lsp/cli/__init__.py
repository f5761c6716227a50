"""The command line."""


def main() -> None:
    """Run ``qsum``."""
    raise NotImplementedError
