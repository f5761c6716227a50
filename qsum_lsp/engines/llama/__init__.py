"""GGUF models on llama.cpp, through ``xllamacpp``: the embedded default, for CPU and Metal.

llama.cpp's server runs in a process of its own. So nothing native ever holds up the event loop (its
constructor keeps the interpreter lock while the model loads), its signal handlers and its log stay out of the
user's process, a crash or lack of memory there is an error message here, and releasing it releases all of it.
"""

from qsum_lsp.engines.llama.engine import LlamaEngine

__all__ = ["LlamaEngine"]
