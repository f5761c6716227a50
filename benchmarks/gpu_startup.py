"""One process start of the torch engine; run by ``gpu_speed``, which sets QSUM_BORN to the time of its start."""

import asyncio
import json
import os
import sys
import time


async def main() -> None:
    """Print the seconds to the first token, the first answer and full speed."""
    born = float(os.environ["QSUM_BORN"])
    found = {}
    import torch  # noqa: F401 - its import is part of the time

    found["torch imported"] = time.time() - born
    from benchmarks.gpu_speed import request
    from qsum_lsp.engines.torch import TorchEngine, TorchOptions

    engine = TorchEngine(TorchOptions(model=sys.argv[1], device="cuda"))
    found["engine made"] = time.time() - born
    stamps: list[float] = []
    await engine.generate(request(700, 1), on_text=lambda _: stamps.append(time.time()))
    found["first token"] = stamps[0] - born
    found["first answer"] = time.time() - born
    while engine.warming:
        await asyncio.sleep(0.02)
    found["fully optimised"] = time.time() - born
    found["detail"] = engine.status().detail  # type: ignore[assignment]
    print(json.dumps(found))
    await engine.aclose()


if __name__ == "__main__":
    asyncio.run(main())
