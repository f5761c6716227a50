"""Training from records to a file that the engines read, on a tiny model."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from qsum_lsp.engines.torch.adapter import AdapterWeights
from tests.engines.torch.tiny import save_model
from training import teach
from training.adapter_file import write_adapter
from training.answer import answers
from training.base import Base
from training.examples import Example, batches, encode_examples, held_out, padded
from training.fit import History, Recipe, fit

SHARE = 0.4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2."""
    return save_model(tmp_path_factory.mktemp("tiny"), "qwen2")


def records(count: int) -> list[dict[str, Any]]:
    """Prompts of random words, all of which have the answer "w7 w8 w9"."""
    drawn = random.Random(0)
    return [
        {
            "site": f"owner/site{number % 12}",
            "messages": [{"role": "user", "content": " ".join(f"w{drawn.randrange(240)}" for _ in range(9))}],
            "target": "w7 w8 w9",
        }
        for number in range(count)
    ]


def split(base: Base) -> tuple[list[Example], list[Example]]:
    """Examples to train on, and those of other sites."""
    examples = encode_examples(base, records(120), "page")
    for_validation = held_out((example.site for example in examples), SHARE)
    train = [example for example in examples if example.site not in for_validation]
    valid = [example for example in examples if example.site in for_validation]
    assert train
    assert valid
    return train, valid


RECIPE = Recipe(learning_rate=0.02, epochs=10, step_tokens=512, validations=4)


def test_the_trained_adapter_answers_as_it_was_taught(folder: Path, tmp_path: Path) -> None:
    base, path = Base.load(folder), tmp_path / "adapter.gguf"
    before = [record["text"] for record in answers(base, records(8), 6)]
    history = fit(base, *split(base), RECIPE, lambda model, _: write_adapter(model, path, name="test"))
    losses = [loss for _, _, loss in history.validations]
    assert min(losses) < losses[0] / 4
    assert history.best_step > 0
    assert path.stat().st_size < 20_000
    after = list(answers(Base.load(folder, adapter=path), records(8), 6))
    assert [record["text"] for record in after] == ["w7w8w9"] * 8 != before
    assert {record["finish"] for record in after} == {"stop"}


def test_training_is_repeatable(folder: Path) -> None:
    recipe, histories = replace(RECIPE, epochs=2), []
    for _ in range(2):
        base = Base.load(folder)
        histories.append(fit(base, *split(base), recipe, lambda *_: None))
    first, second = histories
    assert (first.steps, first.validations) == (second.steps, second.validations)


def test_only_what_is_better_is_kept(folder: Path, tmp_path: Path) -> None:
    base, path = Base.load(folder), tmp_path / "adapter.gguf"
    steps = []

    def keep(model: PeftModel, history: History) -> None:
        steps.append(history.best_step)
        write_adapter(model, path, name="test")

    history = fit(base, *split(base), replace(RECIPE, learning_rate=50.0, epochs=1), keep)
    assert steps == [0], "such steps can only make it worse"
    assert len(history.validations) > 1
    adapter, plain = AdapterWeights(path), Base.load(folder)
    for name, parameter in plain.model.named_parameters():
        torch.testing.assert_close(adapter.merged(name, parameter), parameter)


def test_log_probabilities_are_those_of_the_answer_and_its_end(folder: Path) -> None:
    base = Base.load(folder)
    made = list(answers(base, records(3), 5, samples=2))
    assert [record["sample"] for record in made] == [0, 1] * 3
    for record in made:
        ids = torch.tensor([record["ids"] + record["tokens"]])
        with torch.inference_mode():
            logprobs = torch.log_softmax(base.model(ids).logits[0].float(), -1)
        begin = len(record["ids"])
        expected = sum(logprobs[begin - 1 + n, token].item() for n, token in enumerate(record["tokens"]))
        assert record["logprob"] == pytest.approx(expected, rel=0.02)


def test_batches_hold_every_example_once_within_their_bound() -> None:
    drawn = random.Random(0)
    examples = [Example("s", "page", (number,) * drawn.randrange(5, 60), (1, 2)) for number in range(700)]
    made = list(batches(examples, 256, random.Random(1)))
    assert sorted(example.prompt for batch in made for example in batch) == sorted(
        example.prompt for example in examples
    )
    assert all(len(batch) * max(map(len, batch)) <= 256 for batch in made)
    assert made != list(batches(examples, 256, random.Random(2)))


def test_prompts_are_not_learned() -> None:
    batch = [Example("s", "page", (5, 6, 7), (8, 9)), Example("s", "page", (5,), (9,))]
    ids, labels = padded(batch, 0, torch.device("cpu"))
    assert ids.tolist() == [[5, 6, 7, 8, 9], [5, 9, 0, 0, 0]]
    assert labels.tolist() == [[-100, -100, -100, 8, 9], [-100, 9, -100, -100, -100]]


SOURCE = "The cache keeps 200 pages. It is emptied every night, and a page that nobody asks for is dropped."


@pytest.mark.parametrize(
    ("text", "lesson"),
    [
        (
            "This section describes the cache that keeps 200 pages.",
            "Describes the cache that keeps 200 pages.",
        ),
        ("The cache keeps 300 pages.", ""),
        ("Cache", ""),
        (
            "The cache keeps 200 pages. It is emptied every night. A page that nobody asks for is dropped.",
            "The cache keeps 200 pages. It is emptied every night.",
        ),
    ],
    ids=["an opening is cleaned off", "another number", "the title", "two sentences at most"],
)
def test_what_is_taught_is_what_the_product_would_show(text: str, lesson: str) -> None:
    record = {
        "headings": ["Guide", "Cache"],
        "source": SOURCE,
        "max_chars": 280,
        "text": text,
        "finish": "stop",
    }
    assert teach.lesson(record) == lesson


def test_the_record_of_a_lesson_is_what_training_reads(folder: Path, tmp_path: Path) -> None:
    section = records(1)[0] | {"id": "1", "headings": ["w1"], "source": "w5 w6 " * 40, "max_chars": 280}
    sections, taught = tmp_path / "sections.jsonl", tmp_path / "taught.jsonl"
    sections.write_text(json.dumps(section), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teach, "lesson", lambda _: "w5 w6")
        teach.main(str(folder), str(sections), str(taught))
    (record,) = [json.loads(line) for line in taught.read_text("utf-8").splitlines()]
    (example,) = encode_examples(Base.load(folder), [record], "section")
    assert example.answer == (5, 6, 240)
