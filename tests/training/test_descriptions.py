"""What is left out of the descriptions that an adapter learns from."""

import tomllib
from dataclasses import replace

import pytest

from training.collect import SOURCES, TEST_PAGES, Seen
from training.descriptions import Page, target_of

BODY = """The scheduler starts a backup of every database each night at two and keeps the copies of thirty days.

## Restore

Stop the server first, then call `restore` with the name of the copy. A restore overwrites everything that the database holds
and cannot be taken back, so check twice which copy you name. The server comes back with the state of that night, and the log tells
which of the tables were changed since. Users who are connected have to log in again.
"""
PAGE = Page(
    repo="owner/site", licence="MIT", path="a.md", language="en", title="Backups", body=BODY, description=""
)  # fmt: skip


def fault(description: str, **changes: str) -> str:
    return target_of(replace(PAGE, description=description, **changes))[1]


def test_a_description_that_the_page_bears_out_is_learned_as_the_product_would_show_it() -> None:
    page = replace(PAGE, description="Learn how the **scheduler** backs up databases each night")
    assert target_of(page) == ("Learn how the scheduler backs up databases each night.", "")


@pytest.mark.parametrize(
    ("description", "why"),
    [
        ("All about backups.", "length"),
        ("Learn more about the backups of each database.", "boilerplate"),
        ("backup, restore, database, scheduler, nightly copies", "boilerplate"),
        ("How do you restore a database from a copy?", "boilerplate"),
        ("All of the backups you have.", "says the title again"),
        (
            "Backups are what saves your day. The scheduler backs up every database each night at two.",
            "teaser",
        ),
        ("Der Server sichert die Datenbank in der Nacht und stellt sie auch wieder her.", "other language"),
        ("The scheduler starts a backup of every database each night at 4.", "not grounded"),
        ("Copies of databases, encrypted and mirrored across continents by satellite.", "not grounded"),
    ],
)
def test_what_is_no_good_to_learn_from_is_left_out(description: str, why: str) -> None:
    assert fault(description) == why


def test_a_page_with_little_prose_is_left_out() -> None:
    body = (
        "The scheduler starts a backup of every database each night.\n\n```sh\n"
        + "restore copy\n" * 80
        + "```\n"
    )
    assert fault("How the scheduler starts a backup each night.", body=body) == "short body"


def test_a_test_page_and_what_shares_its_text_are_left_out() -> None:
    seen = Seen([{"body": BODY, "description": "Nightly copies."}])
    assert seen.again(replace(PAGE, description="Other words.")) == "shared with a test page"
    assert (
        seen.again(replace(PAGE, body="Something else.", description="Nightly copies")) == "description seen"
    )


def test_a_page_counts_as_seen_once_it_was_taken() -> None:
    seen = Seen([])
    assert seen.again(replace(PAGE, description="One.")) == ""
    assert seen.again(replace(PAGE, description="Two.")) == "shared with another page"


def test_no_source_is_a_site_of_the_test_pages() -> None:
    sources = tomllib.loads(SOURCES.read_text("utf-8"))["source"]
    assert {source["licence"] for source in sources} <= {
        "Apache-2.0", "CC-BY-4.0", "CC0-1.0", "MIT", "MIT OR Apache-2.0", "MPL-2.0"
    }  # fmt: skip
    tested = TEST_PAGES.read_text("utf-8")
    assert not [source["repo"] for source in sources if f'"{source["repo"]}"' in tested]
