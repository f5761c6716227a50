"""The training loop: LoRA on a frozen model, loss on the answers' tokens alone."""

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from peft.helpers import disable_input_dtype_casting
from torch.nn import functional

from training.base import Base
from training.examples import NOT_LEARNED, Example, batches, padded

BATCH_TOKENS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What was chosen. ``step_tokens`` of prompts and answers make one step of the optimiser."""

    modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    rank: int = 8
    alpha: int = 16
    dropout: float = 0.05
    learning_rate: float = 3e-4
    warm_up: float = 0.05
    epochs: int = 1
    step_tokens: int = 16384
    validations: int = 4
    seed: int = 0


@dataclass(slots=True)
class History:
    """What happened: ``steps`` are (step, loss), ``validations`` (step, kind, loss), losses in nats a token."""

    steps: list[tuple[int, float]] = field(default_factory=list)
    validations: list[tuple[int, str, float]] = field(default_factory=list)
    best_step: int = 0
    seconds: float = 0.0
    tokens: int = 0


Keep = Callable[[Any, History], None]
"""Called with the model of peft as it is, and what happened so far."""


Keep = Callable[[Any, History], None]
"""Called with the model of peft as it is, and what happened so far."""


def fit(
    base: Base, train: Sequence[Example], valid: Sequence[Example], recipe: Recipe, keep: Keep
) -> History:
    """Train; ``keep`` gets the adapted model whenever its loss on ``valid`` is the lowest so far.

    So a run that is cut short leaves the best that it had. The loss that counts is the mean of those on pages and on
    sections.
    """
    torch.manual_seed(recipe.seed)
    model = get_peft_model(
        base.model,
        LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            target_modules=list(recipe.modules),
        ),
    )
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    device = learned[0].device
    optimizer = torch.optim.AdamW(learned, lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=0.0)
    steps = list(_steps(train, recipe))
    warm_up = max(1, int(len(steps) * recipe.warm_up))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _pace(step, warm_up=warm_up, total=len(steps))
    )
    check_at = {
        math.ceil(len(steps) * part / recipe.validations) for part in range(1, recipe.validations + 1)
    }
    history = History()
    best = math.inf
    started = time.perf_counter()

    def validate(step: int) -> None:
        nonlocal best
        losses = {kind: _loss_on(base, model, valid, kind) for kind in sorted({one.kind for one in valid})}
        history.validations += [(step, kind, loss) for kind, loss in losses.items()]
        print(f"step {step} of {len(steps)}, held out:", losses, flush=True)
        mean = sum(losses.values()) / max(1, len(losses))
        if mean < best:
            best, history.best_step = mean, step
            history.seconds = round(time.perf_counter() - started, 1)
            keep(model, history)

    validate(0)
    for number, step in enumerate(steps, 1):
        model.train()
        answers = sum(len(example.answer) for batch in step for example in batch)
        total = 0.0
        for batch in step:
            loss = _loss(base, model, batch, device) / answers
            loss.backward()
            total += loss.item() if number % 5 == 0 else 0.0
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        history.tokens += sum(len(example) for batch in step for example in batch)
        if number % 5 == 0:
            history.steps.append((number, round(total, 4)))
        if number in check_at:
            validate(number)
    history.seconds = round(time.perf_counter() - started, 1)
    return history


def _steps(train: Sequence[Example], recipe: Recipe) -> Iterator[list[list[Example]]]:
    """The batches of each step, for all epochs."""
    shuffle = random.Random(recipe.seed)
    for _ in range(recipe.epochs):
        step: list[list[Example]] = []
        for batch in batches(train, min(BATCH_TOKENS, recipe.step_tokens), shuffle):
            step.append(batch)
            if sum(len(example) for one in step for example in one) >= 0.9 * recipe.step_tokens:
                yield step
                step = []
        if step:
            yield step


def _pace(step: int, *, warm_up: int, total: int) -> float:
    """The learning rate's factor: linear warm-up, then half a cosine down to a tenth."""
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warm_up) / max(1, total - warm_up)))


def _loss(base: Base, model: Any, batch: Sequence[Example], device: torch.device) -> torch.Tensor:
    """The summed loss of the batch's answers in nats; logits are computed for their tokens alone."""
    ids, labels = padded(batch, base.end, device)
    with torch.autocast(device.type, torch.bfloat16), disable_input_dtype_casting(model):
        states = base.model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]  # [B, T - 1, H]
        wanted = labels[:, 1:] != NOT_LEARNED
        logits = base.model.lm_head(states[wanted])  # [answer tokens, V]
    return functional.cross_entropy(logits.float(), labels[:, 1:][wanted], reduction="sum")


@torch.no_grad()
def _loss_on(base: Base, model: Any, examples: Sequence[Example], kind: str) -> float:
    model.eval()
    device = next(model.parameters()).device
    chosen = [example for example in examples if example.kind == kind]
    total = sum(_loss(base, model, batch, device).item() for batch in batches(chosen, BATCH_TOKENS, None))
    return round(total / sum(len(example.answer) for example in chosen), 4)
