"""One process start of the torch engine, stage by stage; run by ``gpu_speed``, which sets QSUM_BORN to its start.

    python -m benchmarks.gpu_startup MODEL_FOLDER [DEVICE]

Prints seconds since the start of the process. Stages of the engine are taken by their functions' begin and end.
"""

import asyncio
import functools
import importlib
import importlib.util
import json
import os
import sys
import threading
import time
from typing import Any

STAGES = (
    ("qsum_lsp.engines.torch.loading", "choose_device", "device chosen"),
    ("qsum_lsp.engines.torch.loading", "ChatTokenizer", "tokenizer"),
    ("qsum_lsp.engines.torch.loading", "plan_memory", "memory planned"),
    ("qsum_lsp.engines.torch.attention", "choose", "attention chosen"),
    ("qsum_lsp.engines.torch.loading", "load_model", "weights"),
    ("qsum_lsp.engines.torch.loading", "KvCache", "cache made"),
    ("qsum_lsp.engines.torch.loading", "_runner", "runner made"),
    ("qsum_lsp.engines.torch.device_thread", "load", "all of loading"),
)
"""Module, function, and what to call the time that it takes."""

BORN = float(os.environ.get("QSUM_BORN") or time.time())
found: dict[str, Any] = {}


def mark(name: str) -> None:
    """Note that ``name`` is reached."""
    found[name] = round(time.time() - BORN, 3)


def watch(module: Any, function: str, name: str) -> None:
    """Note when ``function`` begins and how long it takes, each time it is the first."""
    real = getattr(module, function)

    @functools.wraps(real)
    def timed(*values: Any, **named: Any) -> Any:
        begun = time.time()
        result = real(*values, **named)
        found.setdefault(f"  {name}: begun, took", [round(begun - BORN, 3), round(time.time() - begun, 3)])
        return result

    setattr(module, function, timed)


def bytecode_on_disk(module: str) -> bool:
    """True where a start need not compile the source of a module that is not imported yet."""
    spec = importlib.util.find_spec(module)
    return spec is not None and bool(spec.cached) and os.path.exists(spec.cached or "")


async def main() -> None:
    """Start as ``qsum`` starts its engine, answer one request, and wait for full speed."""
    mark("Python started")
    found["PyTorch's bytecode is on disk"] = bytecode_on_disk("torch")
    from qsum_lsp.service import create_local_engine
    from qsum_lsp.settings import Settings

    mark("qsum imported")
    device = sys.argv[2] if len(sys.argv) > 2 else "cuda"
    # the first answer as users get it: through the same way into the engine as theirs
    engine = create_local_engine(Settings(engine="torch", model=sys.argv[1], device=device))
    mark("engine made")
    for module, function, name in STAGES:
        watch(importlib.import_module(module), function, name)
    mark("engine's modules imported")
    from benchmarks.gpu_prompts import request

    stamps: list[float] = []
    done = await engine.generate(request(700, 1), on_text=lambda _: stamps.append(time.time()))
    mark("first answer")
    found["first token"] = round(stamps[0] - BORN, 3)
    found["new tokens"] = done.new_tokens
    while "getting faster" in engine.status().detail and time.time() < BORN + 80:
        await asyncio.sleep(0.02)
    mark("fully optimised")
    again = time.time()
    await engine.generate(request(700, 2))
    found["one more answer took"] = round(time.time() - again, 3)
    found["modules"] = len(sys.modules)
    found["threads"] = threading.active_count()
    found["detail"] = engine.status().detail
    print(json.dumps(found))
    sys.stdout.flush()
    await engine.aclose()


if __name__ == "__main__":
    asyncio.run(main())
