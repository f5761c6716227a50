"""Real pages in their sites' styles: what people wrote stays, what is missing is written once, in that style."""

from pathlib import Path

import pytest

from qsum_lsp.front_matter import read_page
from tests.front_matter.conftest import Qsum
from tests.front_matter.dev_sites import SITES, DevSite, write_site


def _snapshot(paths: list[Path]) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in paths}


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.repo)
def test_descriptions_by_people_are_never_touched(site: DevSite, qsum: Qsum, tmp_path: Path) -> None:
    described, _ = write_site(tmp_path / "site", site, without=lambda index: False)
    before = _snapshot(described)
    code, reports = qsum("update", tmp_path / "site")
    assert (code, {report["state"] for report in reports}) == (0, {"human"})
    assert len(reports) == len(described) > 20
    assert _snapshot(described) == before


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.repo)
def test_missing_ones_are_written_in_the_style_of_the_site(site: DevSite, qsum: Qsum, tmp_path: Path) -> None:
    root = tmp_path / "site"
    described, bare = write_site(root, site, without=lambda index: index % 2 == 1)
    untouched, before = _snapshot(described), _snapshot(bare)
    code, reports = qsum("update", root)
    assert code == 1
    assert sum(report["written"] for report in reports) == len(bare)
    assert {report["key"] for report in reports} == {site.key}
    assert _snapshot(described) == untouched
    for path in bare:
        new = path.read_text(encoding="utf-8").split("\n")
        old = before[path].decode().split("\n")
        added = [index for index, line in enumerate(new) if "# qsum:1 " in line]
        assert len(added) == 1, path
        line = new.pop(added[0])
        assert new == old, "only a line is added"
        assert line.startswith(f"{site.key}: {site.quote}")
        assert new[added[0] - 1].startswith(site.follows)

    after = _snapshot([*described, *bare])
    code, reports = qsum("update", root)
    assert (code, any(report["written"] for report in reports)) == (0, False)
    assert _snapshot([*described, *bare]) == after, "a second run changes no byte"
    code, reports = qsum("check", root)
    assert (code, {report["state"] for report in reports}) == (0, {"human", "fresh"})


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.repo)
def test_force_replaces_all_of_them_once(site: DevSite, qsum: Qsum, tmp_path: Path) -> None:
    root = tmp_path / "site"
    described, _ = write_site(root, site, without=lambda index: False)
    before = {path: read_page(path.read_text(encoding="utf-8")) for path in described}
    code, reports = qsum("update", "--force", root)
    assert code == 1
    assert all(report["written"] for report in reports)
    for path, old in before.items():
        new = read_page(path.read_text(encoding="utf-8"))
        assert new.body == old.body
        kept = [(entry.key, entry.value) for entry in old.entries.entries if entry.key != site.key]
        assert [(entry.key, entry.value) for entry in new.entries.entries if entry.key != site.key] == kept
        assert new.state(site.key) == "fresh"
    after = _snapshot(described)
    assert qsum("update", "--force", root)[0] == 0
    assert _snapshot(described) == after
