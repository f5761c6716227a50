import pytest

from qsum_lsp.document import parse
from qsum_lsp.summaries import PAGE
from qsum_lsp.summaries.nodes import build_nodes
from qsum_lsp.summaries.verbatim import verbatim_text

CASES = [
    ("Runs on Linux.", "Runs on Linux."),
    ("Runs on *Linux* and\n[macOS](https://example.org).", "Runs on Linux and macOS."),
    ("", ""),
    ("<!-- nothing here -->", ""),
    ("![A picture of a very long road](road.png)", ""),
    ("- Linux\n- macOS\n- Windows", "Linux; macOS; Windows"),
    ("It needs:\n\n- Python\n- pip", "It needs: Python; pip"),
    ("First. \n\nSecond.", "First. Second."),
    ("```sh\npip install thing\n```", "pip install thing"),
    ("```sh\npip install thing\nthing run\n```", None),
    ("Install it:\n\n```sh\npip install thing\n```", None),
    ("| a | b |\n|---|---|\n| 1 | 2 |", None),
    ("word " * 24, "word " * 23 + "word"),
    ("word " * 25, None),
    ("*word* " * 24, "word " * 23 + "word"),
    ("*word* " * 25, None),
    ("longish" * 60, None),
    ("文" * 60, None),
    (
        "在配置文件中可以为每个路径设置不同的限制。修改配置后无需重启服务。",
        "在配置文件中可以为每个路径设置不同的限制。修改配置后无需重启服务。",
    ),
    ("这是一个简短的说明。", "这是一个简短的说明。"),
    ("short <!-- " + "hidden " * 40 + "-->", "short"),
]


@pytest.mark.parametrize(("own", "expected"), CASES)
def test_short_sections_are_their_own_summary(own: str, expected: str | None) -> None:
    nodes = build_nodes(parse(f"# Title\n\n{own}\n"))
    for node_id in ("1", PAGE):
        assert verbatim_text(nodes[node_id], max_chars=280, min_words=25) == expected


def test_a_section_with_text_in_a_subsection_is_not_short() -> None:
    nodes = build_nodes(parse("# A\n\nShort.\n\n## B\n\nShort too.\n\n# C\n\n## D\n\n## E\n"))
    assert verbatim_text(nodes["1"], max_chars=280, min_words=25) is None
    assert verbatim_text(nodes["1.1"], max_chars=280, min_words=25) == "Short too."
    assert verbatim_text(nodes["2"], max_chars=280, min_words=25) == ""
