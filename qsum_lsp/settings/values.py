"""The settings, each with its default. Names are public: they may be added to, never renamed."""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

EngineName = Literal["auto", "llama", "torch", "remote", "extractive"]
Strategy = Literal["headings", "semantic", "sliding", "hierarchical"]
Quantization = Literal["auto", "none", "nf4", "fp4", "int8"]
Attention = Literal["auto", "flash_attention_2", "flash_attention_3", "flash_attention_4", "sdpa", "eager"]
Compile = Literal["auto", "off", "default", "reduce-overhead", "max-autotune"]
Speculation = Literal["auto", "off", "prompt-lookup", "draft"]

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
KeyName = Annotated[str, Meta(pattern=r"\A[A-Za-z_][A-Za-z0-9_-]*\Z")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a user can set. Lengths are in characters, times in the unit that the name ends with."""

    engine: EngineName = "auto"
    model: str = "qwen2.5-coder-1.5b"
    device: str = "auto"
    quantization: Quantization = "auto"
    attention: Attention = "auto"
    compile: Compile = "auto"
    speculation: Speculation = "auto"
    draft_model: str | None = None
    strategy: Strategy = "headings"
    key: KeyName | None = None
    max_chars: Annotated[int, Meta(ge=40)] | None = None
    min_words: NotNegative = 25
    include: tuple[str, ...] = ("*.md", "*.markdown", "*.mdx", "*.qmd", "*.Rmd")
    exclude: tuple[str, ...] = ()
    url: str | None = None
    api_key_env: str | None = None
    context_tokens: Annotated[int, Meta(ge=512)] | None = None
    memory_mib: Positive | None = None
    idle_minutes: Annotated[float, Meta(gt=0)] = 30.0
    hover_wait_ms: NotNegative = 800
    engine_sharing: bool = True
