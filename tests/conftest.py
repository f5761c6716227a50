"""Fixtures for all tests."""

import signal

pytest_plugins = ["tests.real_model"]

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # a shell starts background jobs so, and the processes under test would inherit it and never be interrupted
    signal.signal(signal.SIGINT, signal.default_int_handler)
