"""Openings that say that there is a text before they say what it says: "This page describes how to …"."""

import re
from typing import Literal

from qsum_lsp.text.words import STOP_WORDS, words

_NOUN = (
    r"(?:page|section|document|documentation|table|article|guide|post|blog post|text|tutorial|chapter|topic|summary|"
    r"passage|content|case study|how-to|overview|readme|file|quick ?start|reference|lesson|walkthrough|series)"
)
_WHOLE = rf"(?:the|this|these|that|our)\s+(?:[\w'’-]+\s+){{0,3}}?{_NOUN}s?(?:\s+(?:titled|called|named)\s+[\"“'][^\"”']+[\"”'])?"
_ENGLISH_SUBJECT = re.compile(
    rf"^(?:in|on|throughout)\s+(?:the|this)\s+(?:[\w'’-]+\s+)?{_NOUN},?\s+(?:(?:you(?:['’]ll|\s+will)?|we(?:['’]ll|\s+will)?|"
    rf"it|users?|readers?)\s+)?(?P<rest>.+)$|^{_WHOLE}\s+(?:also\s+|then\s+|will\s+|can\s+|briefly\s+)*(?P<predicate>.+)$",
    re.IGNORECASE | re.DOTALL,
)
_THIS_IS = re.compile(r"^this\s+(?=is\s+(?:an?|the|your)\s)", re.IGNORECASE)
_A_SECTION = re.compile(
    r"^an?\s+(?:short\s+|brief\s+)?(?:sub)?section\s+(?:on|about)\s+(?=\S)", re.IGNORECASE
)
_IS_A = re.compile(r"^is\s+(?=an?\s)", re.IGNORECASE)
_YOU_LEARN = re.compile(r"^you(?:['’]ll|\s+will)?\s+(?=(?:also\s+)?(?:learn|see|find out)\s)", re.IGNORECASE)
_TALKING = (
    r"(?:describ|explain|cover|discuss|outlin|show|demonstrat|detail|introduc|present|provid|giv|offer|contain|"
    r"summari[sz]|explor|highlight|walk|teach|address|focus|list|includ|serv|aim|illustrat|shar|document|specif|mention|"
    r"emphasi[sz]|instruct|compar|defin|recommend)"
)
_TALKING_VERB = re.compile(rf"^{_TALKING}\w*\b", re.IGNORECASE)
# Nouns that are hardly ever the subject of a page: what they do, the page's subject does.
_OWN_VERB = re.compile(
    r"^(?:this\s+(?:page|section|subsection|document|guide|article|chapter|passage|tutorial|text)|"
    r"the\s+(?:section|subsection|article|chapter|passage))\s+(?:also\s+)?(?P<rest>(?!is\b|was\b|has\b|does\b)[a-z]+[^\Ws]s\s.+)$",
    re.IGNORECASE | re.DOTALL,
)
_THAT = re.compile(
    r"^(?:also\s+)?(?:stat|say|not|mention|explain|show|indicat|emphasi[sz]|describ|demonstrat|highlight|stress|suggest)e?s?\s+"
    r"that\s+(?P<rest>.+)$",
    re.IGNORECASE | re.DOTALL,
)
# After a sentence of its own, "The text covers everything" may well be about a text.
_MAY_BE_MEANT = re.compile(r"^the\s+(?:text|content|file|table|series|topic|reference)s?\b", re.IGNORECASE)
_IT = re.compile(rf"^(?:it|they)\s+(?=(?:also\s+)?{_TALKING}\w*\s)(?:also\s+)?", re.IGNORECASE)
_ABOUT = re.compile(
    r"^(?:is|are)\s+(?:all\s+|mainly\s+)?(?:about|on|dedicated\s+to|devoted\s+to|intended\s+to|designed\s+to|meant\s+to)\s+(?P<rest>.+)$"
    r"|^(?:is|are)\s+(?P<whom>for\s.+)$"
    r"|^(?:deals\s+with|talks\s+about)\s+(?P<with>.+)$",
    re.IGNORECASE | re.DOTALL,
)
_HOW = re.compile(
    rf"^{_TALKING}\w*\s+(?:you\s+|users\s+|readers\s+|developers\s+|us\s+)?(?:through\s+|on\s+|about\s+)?(?P<rest>how\s.+)$",
    re.IGNORECASE | re.DOTALL,
)
_NOMINAL = re.compile(
    r"^(?:provides?|gives?|offers?|presents?|contains?|has|is|serves?\s+as)\s+(?:you\s+(?:with\s+)?)?(?:an?\s+|the\s+|some\s+)?"
    r"(?P<rest>(?:[\w'’-]+\s+(?:and\s+)?){0,3}?(?:overview|introduction|guide|guidance|information|instructions?|summary|"
    r"list|collection|reference|tutorial|examples?|details|tips|template|checklist|walkthrough|explanation|"
    r"description|index|glossary|resources?|documentation|analysis|look|recap)\b.+)$",
    re.IGNORECASE | re.DOTALL,
)
_ALLOWS = re.compile(
    r"^(?:allows?|helps?|enables?|lets?|guides?)\s+(?:you|users|readers|developers|us)\s+(?:to\s+)?(?P<rest>(?!through|on\b)\w+\s.+)$",
    re.IGNORECASE | re.DOTALL,
)
_OTHER_SUBJECTS = re.compile(
    r"^(?:(?:dies(?:er|e|es)|der|die|das)\s+(?:abschnitt|seite|dokument|artikel|anleitung|text|kapitel|leitfaden)\s+"
    r"|(?:ce\s+site|(?:cette|ce|la|le)\s+(?:page|section|document|article|guide|texte|chapitre|tutoriel))\s+"
    r"|(?:esta|este|la|el)\s+(?:página|sección|apartado|documento|artículo|guía|texto|capítulo|tutorial)\s+"
    r"|(?:esta|este|a|o)\s+(?:página|seção|secção|documento|artigo|guia|texto|capítulo|tutorial)\s+"
    r"|(?:questa|questo|la|il)\s+(?:pagina|sezione|documento|articolo|guida|testo|capitolo|tutorial)\s+"
    r"|(?:deze|dit|de|het)\s+(?:pagina|sectie|document|artikel|gids|tekst|hoofdstuk)\s+"
    r"|(?:(?:эта|этот|данная|данный|в этом|на этой|в этой)\s+)?(?:страница|странице|раздел|разделе|документ|документе|"
    r"статья|статье|руководство)\s+"
    r"|(?:本|该|此|这个?|這個?)(?:页面?|頁面?|节|節|章节?|部分|文档|文件|文章|文|指南|教程)[，,]?(?:主要)?"
    r"|(?:この|本)(?:ページ|セクション|ドキュメント|文書|記事|ガイド|章|節)(?:では|は)[、,]?"
    r"|(?:이)\s*(?:페이지|섹션|문서|글|가이드)(?:는|은|에서는)\s*)"
    r"(?=(?P<verb>\S+))",
    re.IGNORECASE,
)
_OTHER_TALKING = re.compile(
    r"^(?:beschreib|erklär|erläuter|behandel|zeig|bietet|enthält|gibt|stellt|décri|expliqu|présent|montr|fourni|"
    r"détaill|couvre|traite|describ|explica|expon|muestra|proporciona|ofrece|cubre|present|descrev|mostra|fornece|"
    r"apresenta|oferece|aborda|descriv|spieg|illustra|fornisc|offre|tratta|beschrij|leg|behandel|toon|geeft|biedt|"
    r"описыва|объясня|содержит|показыва|рассматрива|介绍|描述|说明|解释|讨论|提供|列出|概述|展示|阐述|讲解|包含|"
    r"介紹|說明|解釋|討論)",
    re.IGNORECASE,
)
_WITHIN = re.compile(r"^(?:in|on|throughout)\b", re.IGNORECASE)
_LEARN = re.compile(r"^learn\s+(?:how|about|what|why|to)\b", re.IGNORECASE)
_THIS = re.compile(
    rf"^(?:in\s+)?(?:this|these)\s+(?!section|chapter|file)(?:[\w'’-]+\s+)?{_NOUN}\b|^(?:the|our)\s+(?:[\w'’-]+\s+)?page\b"
    r"|^this\s+is\b|^(?!(?:the|this|in)\b)",
    re.IGNORECASE,
)
_COLON = re.compile(r"[:：]")
_LABEL = re.compile(
    r"^(?:(?:page |meta |short |the )?(?:description|summary|abstract|answer|tl;dr|zusammenfassung|beschreibung|résumé|"
    r"resumen|descripción|resumo|descrição|riassunto|descrizione|samenvatting|резюме|краткое содержание|описание|"
    r"摘要|总结|要約|概要|요약)"
    r"(?:\s(?:of|for|des|der|von|de|du|del|della|di|do|da|van)\s[^:：.!?]{0,100}?)?"
    r"(?:\s+(?:is|reads|lautet|est|es|é|è)(?:\s+as\s+follows)?)?\s*[:：]\s*)+",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(
    r"^(?:sure|certainly|of course|okay|here)\b[^:.!?]{0,80}?[:!.]\s*(?:here[^:]{0,60}:\s*)?", re.IGNORECASE
)
_QUOTES = {
    '"': '"',
    "'": "'",
    "“": "”",
    "«": "»",
    "»": "«",
    "„": "“",
    "‘": "’",
    "‹": "›",
    "「": "」",
    "『": "』",
}
_OPENING_QUOTES = "\"'“«»„‘‹「『"
_CLOSING_QUOTES = "\"'”“»«’›」』"
_OF_ITSELF = re.compile(
    r"^(?:in\s+)?this\s+(?:page|section|subsection|document|documentation|guide|article|chapter|passage)\b"
    r"|\b(?:described|mentioned|outlined|explained|stated|provided|given|shown)\s+(?:in|by)\s+(?:the|this)\s+"
    r"(?:text|section|passage|documentation)\b",
    re.IGNORECASE,
)
_OF_ITSELF_ELSEWHERE = re.compile(
    r"^(?:in\s+)?(?:dies(?:er|e|es|em)\s+(?:abschnitt|seite|dokument|kapitel)\b|(?:dans\s+)?cette\s+(?:page|section)\b"
    r"|(?:en\s+)?(?:esta|este)\s+(?:página|sección|apartado)\b|(?:n?esta)\s+(?:página|seção|secção)\b"
    r"|(?:in\s+)?questa\s+(?:pagina|sezione)\b|(?:in\s+)?deze\s+(?:pagina|sectie)\b"
    r"|(?:(?:эта|этот|данная|данный)\s+)?(?:страница|раздел|документ|статья)\s+посвящ|(?:эта|данная)\s+страница\b"
    r"|(?:本|该|此|这个?|這個?)(?:页面?|頁面?|节|節|章节?)|(?:この|本)(?:ページ|セクション))",
    re.IGNORECASE,
)


Before = Literal["nothing", "whole", "opened"]


def without_opening(text: str, *, title: str, language: str, before: Before = "nothing") -> str:
    """``text`` from where it begins to say something, as a sentence; what has no such opening stays as it is.

    "This page describes how to X" becomes "How to X", "This section provides an overview of X" "Overview of X", and
    where only the subject can go the verb leads: "Explains X". ``before`` says what the
    sentence before was: where it lost its opening, it took along what "It also explains X" stands on. A first word in lower case may be a name, and stays.
    """
    text = without_label(text, title)
    previous = None
    opened = text
    if before == "whole" and _MAY_BE_MEANT.match(text):
        return text
    if before == "opened":
        text = _IT.sub("", text)
    while text != previous:
        previous = text
        text = _stripped(text, language)
    if text[:1].islower() and not _is_code(text):
        common = STOP_WORDS.get(language, frozenset[str]()) | STOP_WORDS["en"]
        if text != opened or words(text)[0] in common:
            return text[:1].upper() + text[1:]
    return text


def speaks_of_itself(text: str, *, language: str) -> bool:
    """Whether a summary speaks of the text it sums up, after its openings were taken off."""
    return (_OF_ITSELF if language == "en" else _OF_ITSELF_ELSEWHERE).search(text) is not None


def talks_of_page(sentence: str, language: str) -> bool:
    """Whether ``sentence`` says what its page is for, as in "This page describes …" or "In this guide, you'll learn …"."""
    sentence = sentence.strip()
    if _LEARN.match(sentence):
        return True
    stripped = _stripped(sentence, language)
    if stripped == sentence or not _THIS.match(sentence):
        return False
    # "In this quickstart, you run a script" tells a step, not a purpose
    return not _WITHIN.match(sentence) or _LEARN.match(stripped) is not None


def without_label(text: str, title: str) -> str:
    """``text`` without what announces it: "Summary:", "Here it is:", its title in quotation marks or before a colon."""
    text = text.strip()
    previous = None
    # both need a colon, which few summaries have, and a pattern of its own for each title
    may_be_named = bool(title) and _COLON.search(text) is not None
    named = may_be_named and re.compile(
        rf"^[^:：.!?]{{0,60}}?[{_OPENING_QUOTES}]?[^:：.!?{_OPENING_QUOTES}]{{0,120}}?(?<!\w){re.escape(title)}\s?[{_CLOSING_QUOTES}]"
        r"[^:：.!?]{0,20}[:：]\s*",
        re.IGNORECASE,
    )
    while text != previous:
        previous = text
        text = _LABEL.sub("", _PREAMBLE.sub("", text, count=1)).strip()
        if named:
            text = named.sub("", text)
        if title and text.casefold().startswith(f"title: {title}".casefold()):
            text = text[len(title) + 7 :].strip(" .-–—:")
        elif may_be_named and re.match(rf"{re.escape(title)}(?:\s+is)?\s?[:：]\s", text, re.IGNORECASE):
            text = re.split(r"[:：]\s", text[len(title) :], maxsplit=1)[1].strip()
        text = _unquoted(text)
    return text


def _unquoted(text: str) -> str:
    """``text`` without quotation marks around it, and without one that opens it and is never closed."""
    closing = _QUOTES.get(text[:1])
    if len(text) > 2 and closing:
        if closing == text[-1] and text.count(text[0]) <= 2:
            return text[1:-1].strip()
        if closing not in text[1:]:
            return text[1:].strip()
    return text


def _stripped(text: str, language: str) -> str:
    if language != "en":
        match = _OTHER_SUBJECTS.match(text)
        if match and _OTHER_TALKING.match(match["verb"]):
            return text[match.end() :]
    text = _A_SECTION.sub("", _YOU_LEARN.sub("", text))
    this = _THIS_IS.match(text)
    if this and (found := _NOMINAL.match(text[this.end() :])):
        return found["rest"]
    match = _ENGLISH_SUBJECT.match(text)
    if match is None:
        return text
    return match["rest"] or _told(match["predicate"], text)


def _told(predicate: str, text: str) -> str:
    """What ``predicate`` says of a text, or the whole ``text`` where it need not be one."""
    for pattern in (_HOW, _THAT, _NOMINAL, _ABOUT, _ALLOWS):
        found = pattern.match(predicate)
        if found:
            return next(group for group in found.groups() if group)
    if _TALKING_VERB.match(predicate):
        return predicate
    if own := _OWN_VERB.match(text):
        return own["rest"]
    return _IS_A.sub("", predicate) if _IS_A.match(predicate) and text[:4].casefold() == "this" else text


def _is_code(text: str) -> bool:
    """A first word such as ``npm-run`` or ``getUser`` keeps its case."""
    first = text.split(maxsplit=1)[0]
    return any(character.isupper() or character in "_./()" for character in first[1:])
