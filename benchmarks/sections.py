"""An 8-section page on one llama.cpp file: all at once through the engine, against one chat call after another.

    python benchmarks/sections.py MODEL.gguf [--rounds N] [--threads N]

Compares, with the same prompts, file and threads: the plain way (one slot, no prompt cache), xllamacpp's defaults (one
slot that remembers its last prompt), and the engine, which also ends an answer where the summary is full. Loading is not counted. The ways take turns within one
run, and only ratios mean anything: they are of the sums over all rounds. Beside the seconds stands the processor time
of the model process, which a busy machine changes less; with several threads it counts their waiting too.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from qsum_lsp.engines.llama import LlamaEngine
from qsum_lsp.engines.llama.threads import default_threads
from qsum_lsp.engines.protocol import GenerationRequest
from qsum_lsp.summaries.clean import clean_summary, first_sentences
from qsum_lsp.summaries.prompt import Prompt, PromptInput, build_prompt

PAGE = Path(__file__).parent / "data" / "page.md"
_MAX_CHARS = 280


def prompts(round_number: int) -> list[Prompt]:
    """The page's eight sections as prompts; no text is the same in two rounds, so no cache of whole prompts helps."""
    title, *sections = PAGE.read_text(encoding="utf-8").split("\n## ")
    return [
        build_prompt(
            PromptInput(
                headings=(title.strip("# \n"), section.partition("\n")[0]),
                markdown=f"Release {round_number}. " + section.partition("\n")[2].strip(),
                max_chars=_MAX_CHARS,
            )
        )
        for section in sections
    ]


def kept(prompt: Prompt, answer: str) -> str:
    """What the product shows of an answer."""
    return first_sentences(clean_summary(answer, max_chars=_MAX_CHARS), prompt.max_sentences)


class Plain:
    """xllamacpp's server in a process of its own, called once at a time; the process is this file again."""

    def __init__(self, model: str, *, threads: int, cache_prompt: bool) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, model, "--threads", str(threads), "--serve", str(int(cache_prompt))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.ask({"messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 2})

    def ask(self, body: dict[str, object]) -> dict[str, object]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(body) + "\n")
        self.process.stdin.flush()
        answer: dict[str, object] = json.loads(self.process.stdout.readline())
        return answer

    def run(self, page: list[Prompt]) -> tuple[float, list[str]]:
        started = time.perf_counter()
        answers = [
            self.ask(
                {
                    "messages": [
                        {"role": message.role, "content": message.content} for message in prompt.messages
                    ],
                    "max_tokens": prompt.max_new_tokens,
                    "temperature": 0.0,
                }
            )
            for prompt in page
        ]
        texts = [answer["choices"][0]["message"]["content"] for answer in answers]  # type: ignore[index]
        return time.perf_counter() - started, texts


def serve(model: str, *, threads: int, cache_prompt: bool) -> None:
    """Answer chat requests, a JSON object a line."""
    import xllamacpp

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_ctx = 4096
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    for line in sys.stdin:
        answer = server.handle_chat_completions(json.loads(line) | {"cache_prompt": cache_prompt})
        print(json.dumps(answer), file=answers, flush=True)
    os._exit(0)


def processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def engine_run(engine: LlamaEngine, page: list[Prompt]) -> tuple[float, list[str]]:
    started = time.perf_counter()
    completions = await asyncio.gather(
        *(
            engine.generate(
                GenerationRequest(
                    messages=prompt.messages,
                    source=prompt.source,
                    max_new_tokens=prompt.max_new_tokens,
                    enough_chars=prompt.enough_chars,
                    enough_sentences=prompt.max_sentences,
                )
            )
            for prompt in page
        )
    )
    return time.perf_counter() - started, [completion.text for completion in completions]


async def compare(model: str, *, threads: int, rounds: int) -> None:
    engine = LlamaEngine(Path(model), model_name="benchmark", model_hash="benchmark", threads=threads)
    await engine.count_tokens(["load"])
    plain = Plain(model, threads=threads, cache_prompt=False)
    defaults = Plain(model, threads=threads, cache_prompt=True)
    engine_process = next(
        child for child in psutil.Process().children() if "qsum_lsp.engines.llama.worker" in child.cmdline()
    )
    processes = {
        "plain": psutil.Process(plain.process.pid),
        "xllamacpp defaults": psutil.Process(defaults.process.pid),
        "engine": engine_process,
    }
    before = {name: processor_seconds(process) for name, process in processes.items()}
    totals = {"plain": 0.0, "xllamacpp defaults": 0.0, "engine": 0.0}
    for number in range(1, rounds + 1):
        page = prompts(number)
        if number == 1:
            print(
                f"{threads} threads, {len(page)} sections, {sum(await engine.count_tokens([p.source for p in page]))} tokens of text"
            )
        timed = {
            "plain": plain.run(page),
            "xllamacpp defaults": defaults.run(page),
            "engine": await engine_run(engine, page),
        }
        for name, (seconds, _) in timed.items():
            totals[name] += seconds
        same = sum(
            kept(prompt, one) == kept(prompt, other)
            for prompt, one, other in zip(page, timed["plain"][1], timed["engine"][1], strict=True)
        )
        print(
            f"round {number}: "
            + ", ".join(f"{name} {seconds:.1f} s" for name, (seconds, _) in timed.items())
            + f"; ratio {timed['engine'][0] / timed['plain'][0]:.2f}; {same} of {len(page)} summaries equal",
            flush=True,
        )
    print(
        f"engine / plain {totals['engine'] / totals['plain']:.2f}, "
        f"engine / defaults {totals['engine'] / totals['xllamacpp defaults']:.2f}"
    )
    used = {name: processor_seconds(process) - before[name] for name, process in processes.items()}
    print(
        f"processor time: engine / plain {used['engine'] / used['plain']:.2f}, "
        f"engine / defaults {used['engine'] / used['xllamacpp defaults']:.2f}"
    )
    for server in (plain, defaults):
        assert server.process.stdin is not None
        server.process.stdin.close()
        server.process.wait()
    await engine.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.model, threads=options.threads, cache_prompt=bool(options.serve))
    else:
        asyncio.run(compare(options.model, threads=options.threads, rounds=options.rounds))


if __name__ == "__main__":
    main()
