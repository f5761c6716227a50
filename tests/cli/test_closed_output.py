"""Programs whose output nobody reads any more."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from qsum_lsp.cli.terminal import leave_stdout
print("x" * 100)
{}
sys.exit(1)
"""


@pytest.mark.skipif(os.name == "nt", reason="pipes end otherwise there")
@pytest.mark.parametrize(("line", "code"), [("leave_stdout()", 1), ("", 120)])
def test_what_nobody_reads_is_no_error_at_exit(line: str, code: int) -> None:
    reader, writer = os.pipe()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", PROGRAM.format(line)]
    with open(writer, "wb") as output:
        os.close(reader)
        done = subprocess.run(command, env=environment, stdout=output, stderr=subprocess.PIPE, check=False)
    assert done.returncode == code
    assert (b"BrokenPipe" in done.stderr) == (code == 120)
