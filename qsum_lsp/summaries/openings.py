"""Openings that say that there is a text before they say what it says: "This page describes how to …"."""

import re

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
_IS_A = re.compile(r"^is\s+(?=an?\s)", re.IGNORECASE)
_YOU_LEARN = re.compile(r"^you(?:['’]ll|\s+will)?\s+(?=(?:also\s+)?(?:learn|see|find out)\s)", re.IGNORECASE)
_TALKING = (
    r"(?:describ|explain|cover|discuss|outlin|show|demonstrat|detail|introduc|present|provid|giv|offer|contain|"
    r"summari[sz]|explor|highlight|walk|teach|address|focus|list|includ|serv|aim|illustrat|shar|document|specif)"
)
_TALKING_VERB = re.compile(rf"^{_TALKING}\w*\b", re.IGNORECASE)
_ABOUT = re.compile(
    r"^(?:is|are)\s+(?:all\s+|mainly\s+)?(?:about|on|dedicated\s+to|devoted\s+to|intended\s+to|designed\s+to|meant\s+to)\s+(?P<rest>.+)$"
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
    r"|(?:cette|ce|la|le)\s+(?:page|section|document|article|guide|texte|chapitre|tutoriel)\s+"
    r"|(?:esta|este|la|el)\s+(?:página|sección|documento|artículo|guía|texto|capítulo|tutorial)\s+"
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
_LABEL = re.compile(
    r"^(?:(?:page |meta |short |the )?(?:description|summary|abstract|answer|tl;dr|zusammenfassung|résumé|resumen|"
    r"resumo|riassunto|摘要|要約|概要)\s*[:：]\s*)+",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(
    r"^(?:sure|certainly|of course|okay|here)\b[^:.!?]{0,80}?[:!.]\s*(?:here[^:]{0,60}:\s*)?", re.IGNORECASE
)
_QUOTES = {'"': '"', "'": "'", "“": "”", "«": "»", "„": "“", "「": "」"}


def without_opening(text: str, *, title: str, language: str) -> str:
    """``text`` from where it begins to say something, as a sentence; what has no such opening stays as it is.

    "This page describes how to X" becomes "How to X", "This section provides an overview of X" "Overview of X", and
    where only the subject can go the verb leads: "Explains X".
    """
    text = _unlabelled(text.strip(), title)
    previous = None
    while text != previous:
        previous = text
        text = _stripped(text, language)
    return text[:1].upper() + text[1:] if text[:1].islower() and not _is_code(text) else text


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


def _unlabelled(text: str, title: str) -> str:
    previous = None
    while text != previous:
        previous = text
        text = _LABEL.sub("", _PREAMBLE.sub("", text, count=1)).strip()
        if title and text.casefold().startswith(f"title: {title}".casefold()):
            text = text[len(title) + 7 :].strip(" .-–—:")
        elif title and text.casefold().startswith(f"{title}: ".casefold()):
            text = text[len(title) + 2 :].strip()
        if len(text) > 2 and _QUOTES.get(text[0]) == text[-1] and text.count(text[0]) <= 2:
            text = text[1:-1].strip()
    return text


def _stripped(text: str, language: str) -> str:
    if language != "en":
        match = _OTHER_SUBJECTS.match(text)
        if match and _OTHER_TALKING.match(match["verb"]):
            return text[match.end() :]
    text = _YOU_LEARN.sub("", text)
    this = _THIS_IS.match(text)
    if this and (found := _NOMINAL.match(text[this.end() :])):
        return found["rest"]
    match = _ENGLISH_SUBJECT.match(text)
    if match is None or match["rest"]:
        return text if match is None else match["rest"]
    predicate = match["predicate"]
    for pattern in (_HOW, _NOMINAL, _ABOUT, _ALLOWS):
        found = pattern.match(predicate)
        if found:
            return next(group for group in found.groups() if group)
    if _TALKING_VERB.match(predicate):
        return predicate
    return _IS_A.sub("", predicate) if _IS_A.match(predicate) and text[:4].casefold() == "this" else text


def _is_code(text: str) -> bool:
    """A first word such as ``npm-run`` or ``getUser`` keeps its case."""
    first = text.split(maxsplit=1)[0]
    return any(character.isupper() or character in "_./()" for character in first[1:])
