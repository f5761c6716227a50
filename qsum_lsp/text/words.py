"""Words of any script, for counting overlap. Scripts written without spaces give character pairs."""

import re
import unicodedata

# Han, Hiragana, Katakana, Thai, Lao, Khmer, Myanmar: no spaces between words.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# \w leaves out combining marks that are spacing (Mc), without which Indic words fall apart.
_MARKS = "\u0900-\u0dff"
_TOKEN = re.compile(
    rf"(?P<unspaced>[{_UNSPACED}]+)|(?:(?![{_UNSPACED}])[\w{_MARKS}])+(?:['\u2019](?:(?![{_UNSPACED}])[\w{_MARKS}])+)*"
)
# French and Italian articles and pronouns that lose their vowel: "l'API", "dell'utente".
_ELIDED = re.compile(
    r"^(?:[cdjlmnst]|qu|un|dell|nell|all|dall|sull|quell|quest)['\u2019](?=\w{2})", re.IGNORECASE
)

_INFLECTION = re.compile(r"(?<=[^\Ws]{3})(?:e?s|ing|ed)$")

_FUNCTION_WORDS = {
    "en": (
        "a an and are as at be been but by can do for from has have how if in into is it its more not of on or "
        "our so such than that the their them then there these they this to use was we were what when where "
        "which who will with you your"
    ),
    "de": (
        "aber als am an auch auf aus bei bis das dass dem den der des die durch ein eine einem einen einer es "
        "für hat im in ist kann mit nach nicht noch nur oder sich sie sind über um und von vor war werden wie "
        "wird wir zu zum zur"
    ),
    "fr": (
        "à au aux avec ce ces cette dans de des du elle en est et être il ils je la le les leur mais ne nous on "
        "ou où par pas plus pour que qui sa se ses son sont sur un une vous"
    ),
    "es": (
        "a al como con cuando de del desde donde el ella en entre es esta este está están fue ha hay la las lo "
        "los más muy no o para pero por que se ser si sin sobre son su sus también un una y ya"
    ),
    "pt": (
        "a ao aos as até com como da das de do dos e ela ele em entre é foi há isso já mais mas na nas não no "
        "nos o os ou para pela pelo por que quando se sem ser seu sua são também um uma você"
    ),
    "it": (
        "a ai al alla anche che chi come con da dal dalla degli dei del della delle di e è gli ha i il in la le "
        "lo ma nel nella non o per più quando questa questo se si sono su sul un una"
    ),
    "nl": (
        "aan als bij dan dat de deze die dit door een en er het hij hoe ik in is je kan maar met naar niet nog "
        "of om ook op over te tot u uit van voor was wat we worden wordt ze zijn zo"
    ),
}
STOP_WORDS = {language: frozenset(listed.split()) for language, listed in _FUNCTION_WORDS.items()}
"""Function words of languages in Latin script, by ISO 639-1 code."""


def words(text: str) -> list[str]:
    """The words of ``text`` in lower case, in order, without elided articles.

    A run of an unspaced script becomes its character pairs.
    """
    found: list[str] = []
    for match in _TOKEN.finditer(unicodedata.normalize("NFC", text).lower()):
        token = match.group()
        if match["unspaced"] and len(token) > 1:
            found.extend(token[index : index + 2] for index in range(len(token) - 1))
        else:
            found.append(without_elision(token))
    return found


def word_count(text: str) -> int:
    """How many words ``text`` has for a reader; two characters of an unspaced script are about one."""
    return sum((len(match.group()) + 1) // 2 if match["unspaced"] else 1 for match in _TOKEN.finditer(text))


def without_elision(word: str) -> str:
    """``word`` without an elided article or pronoun before it."""
    return _ELIDED.sub("", word) if "'" in word or "\u2019" in word else word


def content_words(text: str, language: str) -> list[str]:
    """The words of ``text`` that carry meaning; English ones without the commonest inflections."""
    stop = STOP_WORDS.get(language, frozenset[str]())
    kept = [word for word in words(text) if word not in stop and not word.isdigit()]
    return [_INFLECTION.sub("", word) for word in kept] if language == "en" else kept


def bare(text: str) -> str:
    """The letters and digits of ``text`` in lower case: what two spellings of one title share."""
    return "".join(character for character in text.casefold() if character.isalnum())
