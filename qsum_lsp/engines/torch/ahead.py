"""What needs no PyTorch and is done while PyTorch is imported, which takes seconds."""

import contextlib
import ctypes
import os
import threading
from pathlib import Path

from qsum_lsp.engines.torch.options import TorchOptions
from qsum_lsp.engines.torch.source import ModelSource


def begin(options: TorchOptions) -> list[threading.Thread]:
    """Have the weights read and the GPU made ready, on threads of their own, which never fail.

    Raises EngineUnavailable where there is no such model.
    """
    config = ModelSource.find(options.model).config_path
    threads = []
    if config is not None:
        threads.append(threading.Thread(target=read_ahead, args=(config.parent,), daemon=True))
    kind, _, index = options.device.partition(":")
    if kind in ("auto", "cuda") and (index or "0").isdigit():
        threads.append(threading.Thread(target=create_context, args=(int(index or 0),), daemon=True))
    for thread in threads:
        thread.start()
    return threads


def read_ahead(folder: Path) -> None:
    """Ask the system to read the weights in ``folder`` into its page cache, where it can be asked."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in sorted(folder.glob("*.safetensors")):
        with contextlib.suppress(OSError), path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def create_context(index: int) -> None:
    """Create the CUDA context of a GPU, which PyTorch then finds; nothing where there is no driver.

    The context is the device's primary one (CUDA driver API, ``cuDevicePrimaryCtxRetain``), which every library of
    a process shares.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return
    device, context = ctypes.c_int(), ctypes.c_void_p()
    if driver.cuInit(0) == 0 and driver.cuDeviceGet(ctypes.byref(device), index) == 0:
        driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
