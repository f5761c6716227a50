"""The process that holds the model: llama.cpp's server on a loopback port, until standard input ends.

The first line of standard input is a JSON object with the fields of ``WorkerConfig``; the first line of
standard output is ``{"url": …, "device": …}`` once the model is loaded, or ``{"error": …}``. llama.cpp's log goes
to standard error.
"""

import json
import os
import sys
import threading
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """``context_tokens`` is for each of the ``slots``; ``batch_tokens`` bounds one decode step.

    ``adapter_path`` is a LoRA adapter for the model, or empty; ``state_folder`` (with a trailing separator) takes the
    saved states of slots; ``api_key`` keeps other users of the machine from the port.
    """

    model_path: str
    adapter_path: str
    slots: int
    context_tokens: int
    batch_tokens: int
    threads: int
    state_folder: str
    api_key: str


def main() -> None:
    # Whatever native code prints belongs to the log: the answer goes out by a descriptor of its own.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    config = WorkerConfig(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        server, device = _start(config)
        reply = {"url": server.listening_address, "device": device}
    except Exception as error:
        reply = {"error": f"{type(error).__name__}: {error}"}
    answer.write(json.dumps(reply) + "\n")
    answer.flush()
    if "error" in reply:
        sys.exit(1)  # in the usual way, in which llama.cpp writes the rest of its log: it says why
    threading.Event().wait()


def _start(config: WorkerConfig) -> tuple[Any, str]:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = config.model_path
    if config.adapter_path:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(config.adapter_path)]
    params.n_parallel = config.slots
    params.n_ctx = config.context_tokens * config.slots
    params.n_batch = params.n_ubatch = config.batch_tokens
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = config.threads
    params.n_threads_http = config.slots + 4
    params.slot_save_path = config.state_folder
    params.api_keys = [config.api_key]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    # With one cache for all slots, tokens being decoded ride along in the steps that read a prompt.
    params.kv_unified = True
    params.fit_params = False  # it would change the context that was promised
    params.cache_ram_mib = 0  # the engine shares prompt prefixes itself
    params.cache_idle_slots = False
    params.ctx_shift = False
    params.warmup = False
    params.ui = False
    params.endpoint_slots = True
    params.offline = True
    server = xllamacpp.Server(params)
    devices = [info["description"] for info in xllamacpp.get_device_info() if "CPU" not in info["type"].name]
    return server, ", ".join(devices) or f"CPU, {config.threads} thread{'s' if config.threads > 1 else ''}"


def _leave_with_parent() -> None:
    # not by sys.stdin, whose buffer is locked while it reads, and so could not be closed at the end
    while os.read(0, 1):
        pass
    os._exit(0)  # nothing here needs saving, and llama.cpp's own shutdown waits for what it is decoding


if __name__ == "__main__":
    main()
