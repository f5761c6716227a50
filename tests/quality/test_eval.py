"""``qsum eval`` as a process, and the parts of it that other numbers rest on."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from qsum_lsp.errors import UsageError
from qsum_lsp.evaluation.baselines import first_sentences, textrank
from qsum_lsp.evaluation.checks import check
from qsum_lsp.evaluation.measures import Rouge, interval
from qsum_lsp.evaluation.pages import EvaluationPage, read_pages
from tests.cli.run_qsum import qsum

PAGES = Path(__file__).parent.parent / "data" / "docs-dev.jsonl"


def page(body: str, *, title: str = "Cache", description: str = "A cache.") -> EvaluationPage:
    return EvaluationPage(
        id="1", site="s", title=title, body=body, description=description, band="short", verbatim=False
    )


def test_a_run_is_made_kept_scored_again_and_compared(tmp_path: Path) -> None:
    made = qsum(
        "eval", PAGES, "--engine", "extractive", "--limit", "6", "--out", "a.jsonl", "--report", "r",
        cwd=tmp_path,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert "## All pages (6)" in made.stdout
    assert made.stdout == (tmp_path / "r" / "report.md").read_text("utf-8")
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 6
    assert all(line["summary"] and line["source"] in ("extractive", "verbatim") for line in lines)
    for plot in (tmp_path / "r").glob("*.svg"):
        assert ET.fromstring(plot.read_text("utf-8")).tag.endswith("svg")  # noqa: S314 — our own
    lines[0]["summary"] = "Nothing that anybody wrote."
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    compared = qsum(
        "eval",
        PAGES,
        "--limit",
        "6",
        "--from",
        "b.jsonl",
        "--baseline",
        "a.jsonl",
        "--report",
        "c",
        cwd=tmp_path,
    )
    assert compared.returncode == 0, compared.stderr
    assert "| over baseline run |" in compared.stdout
    different = compared.stdout.partition("## Where qsum and the baseline run differ most")[2]
    assert "qsum is better on 0 pages, worse on 1, equal on 5." in different
    assert "Nothing that anybody wrote." in different.splitlines()[6]
    assert "| what | qsum | baseline run |" in compared.stdout
    (grounded,) = [
        line for line in compared.stdout.splitlines() if line.startswith("| grounded (qsum's check) |")
    ]
    assert grounded.count("of 6") == 2
    (all_pages,) = [line for line in compared.stdout.splitlines() if line.startswith("| all pages (6) |")]
    assert all_pages.count("[") == 2
    shown = (tmp_path / "c" / "report.html").read_text("utf-8")
    assert shown.count("<svg") == 3
    assert "<script" not in shown


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "line 1"),
        ('{"body": "x"}', "`description`"),
        ("", "no page"),
        (
            '{"id": 1, "body": "x", "description": "y"}\n{"id": 1, "body": "x", "description": "y"}',
            "same `id`",
        ),
    ],
)
def test_data_that_cannot_be_used_is_named(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "d.jsonl").write_text(content, "utf-8")
    done = qsum("eval", "d.jsonl", cwd=tmp_path)
    assert done.returncode == 2
    assert "d.jsonl" in done.stderr
    assert said in done.stderr


def test_a_missing_file_and_missing_summaries(tmp_path: Path) -> None:
    assert qsum("eval", "none.jsonl", cwd=tmp_path).returncode == 4
    (tmp_path / "p.jsonl").write_text('{"id": "x", "summary": "y"}\n', "utf-8")
    done = qsum("eval", PAGES, "--from", "p.jsonl", cwd=tmp_path)
    assert done.returncode == 2
    assert "119 pages have no summary" in done.stderr


def test_baselines_read_running_text_alone() -> None:
    body = (
        "# Head\n\n```\ncode first\n```\n\nThe cache keeps tokens. It forgets them later. The end is near.\n"
    )
    assert first_sentences(page(body), 1) == "The cache keeps tokens."
    assert first_sentences(page(body), 2) == "The cache keeps tokens. It forgets them later."
    ranked = "Birds sing loudly. The cache keeps tokens in memory. Tokens in the cache live in memory. Go home now."
    assert "cache" in textrank(page(ranked))
    assert textrank(page("```\nx\n```\n")) == ""


def test_rouge_is_that_of_the_reference_package() -> None:
    scores = Rouge().scores(["the cat sat on the mat"], ["the cat lay on the mat"])
    assert scores["ROUGE-1"][0] == pytest.approx(100 * 5 / 6)
    assert scores["ROUGE-2"][0] == pytest.approx(60.0)


def test_intervals_hold_the_mean_and_shrink_with_pages() -> None:
    draw = np.random.default_rng(1)
    few, many = (interval(draw.normal(5, 2, size)) for size in (20, 2000))
    assert few.low < few.mean < few.high
    assert many.high - many.low < (few.high - few.low) / 4
    assert interval(np.full(9, 3.0)).low == 3.0


def test_checks_see_what_a_reader_would() -> None:
    body = "The cache keeps 500 tokens for Ada Byron. " * 3
    good = check("The cache keeps 500 tokens.", page(body), max_chars=100)
    assert (good.cut_off, good.opens_with_page, good.within_limit, good.supported) == (
        False,
        False,
        True,
        True,
    )
    assert check("This page is about a cache.", page(body), max_chars=100).opens_with_page
    for cut in ("The cache keeps 500 tokens for", "The cache keeps 500 …"):
        assert check(cut, page(body), max_chars=100).cut_off
    assert not check("The cache keeps 500 tokens.", page(body), max_chars=9).within_limit
    assert not check("The cache keeps 600 tokens.", page(body), max_chars=99).supported
    assert not check("Parsers build trees from grammars quickly.", page(body), max_chars=99).supported
    assert check("Cache.", page(body), max_chars=99).repeats_title


def test_pages_know_their_band_and_whether_they_were_copied(tmp_path: Path) -> None:
    rows = [
        {"body": "One two. " * 100, "description": "One  two."},
        {"body": "word " * 500, "description": "Other.", "repo": "s", "band": "long"},
    ]
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    short, long = read_pages(tmp_path / "d.jsonl")
    assert (short.band, short.verbatim, short.site) == ("short", True, "all")
    assert (long.band, long.verbatim, long.site) == ("long", False, "s")
    assert short.document().sections
    with pytest.raises(UsageError):
        read_pages(_file(tmp_path, "[]"))


def _file(folder: Path, content: str) -> Path:
    (folder / "x.jsonl").write_text(content, "utf-8")
    return folder / "x.jsonl"
