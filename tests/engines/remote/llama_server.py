"""``python -m tests.engines.remote.llama_server MODEL``: llama.cpp's own OpenAI-compatible server.

Prints its address and serves until standard input closes.
"""

import sys

import xllamacpp


def main() -> None:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = sys.argv[1]
    parameters.model_alias = {"real"}
    parameters.n_ctx = 4096
    parameters.n_parallel = 2
    parameters.n_gpu_layers = 0
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)  # noqa: T201
    sys.stdin.read()


if __name__ == "__main__":
    main()
