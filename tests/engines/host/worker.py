"""A client process that does as it is told on standard input, one JSON object a line, and answers so."""

import asyncio
import json
import sys
import time
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from qsum_lsp.engines.protocol import GenerationRequest, Message, Priority
from tests.engines.host.scripted_host import client


class Worker:
    """The process, seen from the test."""

    def __init__(self) -> None:
        self.process = Popen(
            [sys.executable, "-m", "tests.engines.host.worker"],
            stdin=PIPE, stdout=PIPE, text=True, cwd=Path(__file__).parents[3],
        )  # fmt: skip

    def tell(self, **order: Any) -> None:
        """Send an order: ``name`` of the engine, its ``options``, ``sources`` to ask for, ``at`` what time."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The answer to the oldest order."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the client process has ended"
        result: dict[str, Any] = json.loads(line)
        return result

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.wait(10)


async def _obey(order: dict[str, Any]) -> dict[str, Any]:
    engine = client(order["name"], **order.get("options", {}))
    await asyncio.sleep(max(0.0, order.get("at", 0.0) - time.time()))
    began = time.monotonic()
    try:
        answers = await asyncio.gather(
            *(
                engine.generate(
                    GenerationRequest(
                        messages=(Message("user", source),),
                        source=source,
                        max_new_tokens=64,
                        priority=Priority(order.get("priority", 3)),
                    )
                )
                for source in order["sources"]
            )
        )
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        await engine.aclose()
    return {"texts": [answer.text for answer in answers], "seconds": time.monotonic() - began}


def main() -> None:
    for line in sys.stdin:
        answer = asyncio.run(_obey(json.loads(line)))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
