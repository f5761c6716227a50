"""Pages of the key-value cache: who holds which, and which can be reused for an equal beginning."""

from collections import OrderedDict, deque
from collections.abc import Sequence

PAGE_TOKENS = 16
"""Tokens of one page: small, so that prompts share nearly all of a common beginning."""

TAKEN_AT_ONCE = 2
"""Released requests taken in for each one that asks for pages, so that they cannot pile up."""

SCRATCH_PAGE = 0
"""Rows that only fill up a batch write here; it belongs to nobody."""


class PagePool:
    """Hands out pages by number and remembers what complete prompt pages contain.

    A page is known by (serial of the page before it, its tokens), so equal keys mean equal prefixes without
    hashing texts. Released pages keep their content until they are needed (least recently used first).
    """

    def __init__(self, pages: int) -> None:
        self.capacity = pages - 1
        self._free = list(range(pages - 1, SCRATCH_PAGE, -1))
        self._holders = [0] * pages
        self._cached: dict[tuple[int, tuple[int, ...]], int] = {}
        self._keys: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._serials: dict[int, int] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()
        self._released: deque[Sequence[int]] = deque()
        self._next_serial = 1

    @property
    def available(self) -> int:
        """Pages that could be handed out now."""
        self._take_in(len(self._released))
        return self._at_hand

    @property
    def _at_hand(self) -> int:
        return len(self._free) + len(self._idle)

    def match(self, prompt: Sequence[int]) -> list[int]:
        """Held pages with the longest known beginning of ``prompt``, its last token excluded. Release them."""
        pages: list[int] = []
        serial = 0
        for start in range(0, len(prompt) - PAGE_TOKENS, PAGE_TOKENS):
            page = self._cached.get((serial, tuple(prompt[start : start + PAGE_TOKENS])))
            if page is None:
                break
            self._idle.pop(page, None)
            self._holders[page] += 1
            pages.append(page)
            serial = self._serials[page]
        return pages

    def allocate(self, count: int) -> list[int] | None:
        """``count`` pages of undefined content, or None where there are not as many."""
        self._take_in(TAKEN_AT_ONCE)
        while count > self._at_hand and self._released:
            self._take_in(1)
        if count > self._at_hand:
            return None
        pages = []
        for _ in range(count):
            if self._free:
                page = self._free.pop()
            else:
                page, _none = self._idle.popitem(last=False)
                self._forget(page)
            self._holders[page] = 1
            pages.append(page)
        return pages

    def publish(self, prompt: Sequence[int], pages: Sequence[int]) -> None:
        """Remember the complete pages of ``prompt``, whose keys and values ``pages`` now hold."""
        serial = 0
        for index in range(len(prompt) // PAGE_TOKENS):
            page = pages[index]
            key = (serial, tuple(prompt[index * PAGE_TOKENS : (index + 1) * PAGE_TOKENS]))
            known = self._cached.get(key)
            if known is None:
                if page in self._keys:
                    return
                self._cached[key] = page
                self._keys[page] = key
                self._serials[page] = self._next_serial
                self._next_serial += 1
                known = page
            serial = self._serials[known]

    def release(self, pages: Sequence[int]) -> None:
        """Give up one hold on each page.

        They are taken in bit by bit when pages are asked for: hundreds of answers can end in one step, and neither
        their telling nor the next request should wait for that.
        """
        self._released.append(pages)

    def clear(self) -> None:
        """Forget all cached content."""
        self._take_in(len(self._released))
        for page in list(self._keys):
            self._forget(page)
        self._free.extend(self._idle)
        self._idle.clear()

    def _take_in(self, most: int) -> None:
        for _ in range(min(most, len(self._released))):
            pages = self._released.popleft()
            for page in reversed(pages):  # the end of a prompt is evicted before its beginning
                self._holders[page] -= 1
                if self._holders[page] == 0:
                    if page in self._keys:
                        self._idle[page] = None
                    else:
                        self._free.append(page)

    def _forget(self, page: int) -> None:
        key = self._keys.pop(page)
        del self._cached[key]
        del self._serials[page]
