"""Who holds which pages of the cache."""

from qsum_lsp.engines.torch.pages import PAGE_TOKENS, PagePool


def test_what_is_released_is_taken_in_bit_by_bit() -> None:
    pool = PagePool(101)
    held = [pool.allocate(5) for _ in range(20)]
    assert pool.allocate(1) is None
    for pages in held:
        assert pages is not None
        pool.release(pages)
    assert pool.allocate(1) is not None
    # two of twenty, so that no request waits for all that ended before it
    assert len(pool._released) == 18
    assert pool.allocate(90) is not None, "what waits to be taken in must not be missing"
    assert pool.available == 9


def test_a_prompt_is_found_while_its_release_waits() -> None:
    pool = PagePool(11)
    prompt = list(range(3 * PAGE_TOKENS))
    first = pool.allocate(4)
    assert first is not None
    pool.publish(prompt, first)
    pool.release(first)
    again = pool.match([*prompt, 7])
    assert again == first[:3]
    assert pool.allocate(8) is None
    rest = pool.allocate(7)
    assert rest is not None
    assert not set(rest) & set(again)
    pool.release(again)
    assert pool.available == 3
