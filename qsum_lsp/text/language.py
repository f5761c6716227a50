"""A cheap guess at the language of a text: by script, and by function words among Latin ones."""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

from qsum_lsp.text.words import STOP_WORDS, words

_SAMPLE = 4000

_SCRIPTS = {
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CJK": "zh",
    "CYRILLIC": "ru",
    "ARABIC": "ar",
    "DEVANAGARI": "hi",
    "HEBREW": "he",
    "GREEK": "el",
    "THAI": "th",
    "BENGALI": "bn",
    "TAMIL": "ta",
    "TELUGU": "te",
    "GUJARATI": "gu",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "GURMUKHI": "pa",
    "ARMENIAN": "hy",
    "GEORGIAN": "ka",
    "MYANMAR": "my",
    "AMHARIC": "am",
    "ETHIOPIC": "am",
}
_UKRAINIAN = re.compile("[іїєґІЇЄҐ]")
_PERSIAN = re.compile("[پچژگ]")


def guess_language(text: str) -> str:
    """The ISO 639-1 code of the language that the beginning of ``text`` is most likely written in.

    Latin script counts as English unless the function words clearly say otherwise; so does a text without letters.
    """
    return _language_of(text[:_SAMPLE])


@lru_cache(maxsize=128)  # one text is asked about several times while its answer is made
def _language_of(sample: str) -> str:
    if sample.isascii():
        return _latin_language(sample)
    scripts = Counter(
        unicodedata.name(character, "").partition(" ")[0] for character in sample if character.isalpha()
    )
    latin = scripts.pop("LATIN", 0)
    known = Counter[str]()
    for script, count in scripts.items():
        if script in _SCRIPTS:
            known[script] += count
    # A Han or Hangul letter says about as much as three Latin ones, and technical prose is full of Latin names.
    if not known or latin > 3 * known.total():
        return _latin_language(sample)
    kana = known["HIRAGANA"] + known["KATAKANA"]
    if kana and kana * 8 >= known["CJK"]:
        return "ja"
    language = _SCRIPTS[max(known, key=lambda script: (known[script], script))]
    if language == "ru" and len(_UKRAINIAN.findall(sample)) * 50 > known["CYRILLIC"]:
        return "uk"
    if language == "ar" and len(_PERSIAN.findall(sample)) * 100 > known["ARABIC"]:
        return "fa"
    return language


def _latin_language(sample: str) -> str:
    counts = Counter(words(sample))
    votes = {
        language: sum(counts[word] for word in stop_words) for language, stop_words in STOP_WORDS.items()
    }
    best = max(votes, key=lambda language: (votes[language], language == "en"))
    # Short texts and code share words with many languages: English stays unless beaten well.
    different = len(STOP_WORDS[best] & counts.keys())
    return best if different >= 3 and votes[best] > 1.3 * votes["en"] else "en"
