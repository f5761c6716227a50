"""Places in passages: as the definition has them, and quick on long sources that repeat themselves."""

from hypothesis import given
from hypothesis import strategies as st

from qsum_lsp.summaries.grounding import polarity

PLACES = st.lists(st.integers(0, 200), max_size=30).map(sorted)
PASSAGES = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 30)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    max_size=12,
)


@given(places=PLACES, passages=PASSAGES)
def test_the_places_in_any_passage(places: list[int], passages: list[tuple[int, int]]) -> None:
    slack = polarity._SLACK
    expected = [
        place
        for place in places
        if not passages or any(first - slack <= place <= last + slack for first, last in passages)
    ]
    assert polarity._within(places, passages) == expected


def test_overlapping_passages_are_searched_as_one() -> None:
    passages = [(start, start + 20) for start in range(0, 100_000, 2)]
    assert polarity._joined(passages) == [(-polarity._SLACK, 100_018 + polarity._SLACK)]
