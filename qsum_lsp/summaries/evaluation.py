"""All recipes of one document at once, driven against the store and, in a run, the engine."""

from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from qsum_lsp.summaries.answer import Answer, decode_answer
from qsum_lsp.summaries.needs import Answers, Ask, Counts, Need, Stored, Summaries
from qsum_lsp.summaries.nodes import Node
from qsum_lsp.summaries.recipe import Recipe
from qsum_lsp.summaries.shelf import Shelf
from qsum_lsp.summaries.values import SectionSummary


@dataclass(slots=True, eq=False)
class Job:
    """The recipe of one node at work. ``dependents`` wait for it to be done."""

    node: Node
    coroutine: Coroutine[Need[Any], Any, Answer]
    answer: Answer | None = None
    missing: int = 0
    dependents: "list[tuple[Job, Summaries]]" = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Asked:
    """The asks of one job that are not all answered yet."""

    job: Job
    asks: tuple[Ask, ...]
    answers: list[Answer | None]
    left: int


class Evaluation:
    """The recipes of one document.

    ``settle`` goes as far as the store reaches, with one query a round for all recipes. What only an engine
    can tell is left in ``counts`` and ``questions``; ``counted`` and ``answered`` bring it.
    """

    def __init__(self, recipe: Recipe, shelf: Shelf, on_done: Callable[[SectionSummary], None]) -> None:
        self.jobs: dict[str, Job] = {}
        self.counts: list[tuple[Job, Counts]] = []
        self.questions: deque[tuple[Asked, int]] = deque()
        self._recipe = recipe
        self._shelf = shelf
        self._on_done = on_done
        self._runnable: deque[tuple[Job, Any]] = deque()
        self._lookups: list[tuple[Job, Stored | Answers]] = []

    def start(self, nodes: Iterable[Node]) -> None:
        """Begin the recipes of ``nodes``; what these need from other nodes begins by itself."""
        for node in nodes:
            if node.id not in self.jobs:
                job = Job(node, self._recipe.summarize(node))
                self.jobs[node.id] = job
                self._runnable.append((job, None))

    def settle(self) -> None:
        """Go on until every recipe is done or waits for the engine."""
        while self._runnable or self._lookups:
            while self._runnable:
                job, reply = self._runnable.popleft()
                self._step(job, reply)
            lookups, self._lookups = self._lookups, []
            keys = dict.fromkeys(key for _, need in lookups for key in _keys(need))
            found = self._shelf.get_many(list(keys))
            for job, need in lookups:
                self._reply(job, need, found)

    def counted(self, job: Job, counts: list[int]) -> None:
        """The engine has counted for ``job``."""
        self._runnable.append((job, counts))

    def answered(self, asked: Asked, index: int, answer: Answer) -> None:
        """The engine has answered one of the questions."""
        asked.answers[index] = answer
        asked.left -= 1
        if asked.left == 0:
            self._runnable.append((asked.job, asked.answers))

    def close(self) -> None:
        """Give up what is not done."""
        for job in self.jobs.values():
            job.coroutine.close()

    def _step(self, job: Job, reply: Any) -> None:
        try:
            need = job.coroutine.send(reply)
        except StopIteration as stop:
            answer: Answer = stop.value
            job.answer = answer
            self._on_done(answer.summary_of(job.node.id))
            for dependent, summaries in job.dependents:
                dependent.missing -= 1
                if not dependent.missing:
                    self._runnable.append((dependent, self._summaries(summaries)))
            return
        match need:
            case Summaries():
                self._wait_for(job, need)
            case Counts():
                self.counts.append((job, need))
            case Stored() | Answers():
                self._lookups.append((job, need))

    def _wait_for(self, job: Job, need: Summaries) -> None:
        self.start(need.nodes)
        others = [self.jobs[node.id] for node in need.nodes]
        waited = [other for other in others if other.answer is None]
        job.missing = len(waited)
        for other in waited:
            other.dependents.append((job, need))
        if not waited:
            self._runnable.append((job, self._summaries(need)))

    def _summaries(self, need: Summaries) -> list[Answer | None]:
        return [self.jobs[node.id].answer for node in need.nodes]

    def _reply(self, job: Job, need: Stored | Answers, found: Mapping[str, str]) -> None:
        if isinstance(need, Stored):
            self._runnable.append((job, found.get(need.key)))
            return
        answers = [decode_answer(found[ask.key]) if ask.key in found else None for ask in need.asks]
        asked = Asked(job, need.asks, answers, answers.count(None))
        if not asked.left:
            self._runnable.append((job, answers))
        for index, answer in enumerate(answers):
            if answer is None:
                self.questions.append((asked, index))


def _keys(need: Stored | Answers) -> list[str]:
    return [need.key] if isinstance(need, Stored) else [ask.key for ask in need.asks]
