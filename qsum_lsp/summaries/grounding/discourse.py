"""Words that a summary says of itself or to its reader, which no page needs to say too."""

_ENGLISH = (
    "learn learns overview introduction guide guidance guides tutorial information info describe "
    "describes description explain explains explanation show shows discuss discusses discussion cover "
    "covers outline outlines detail details detailed provide provides providing include includes "
    "including included step steps highlight highlights summary summarize introduce introduces tips page "
    "pages article post document documentation docs doc section reader readers author topic topics walk "
    "through explore explores discover various several different many using used use uses available help "
    "helps helping get started start how what why also about within via well key based related specific "
    "such example examples ensure ensures ensuring allow allows allowing enable enables enabling "
    "following between while its their them other others instructions instruction reference way ways need "
    "needs make makes set managing manage process user users new view given offer offers feature features "
    "present presents one two who when where which each any all both can could would will may might must "
    "shall should let lets us we our you your i they it is are be was were do does did has have had been "
    "being not no nor never only without cannot than then more less most least"
)
# What cleaning leaves of "Diese Seite beschreibt …" and its like.
_OTHERS = (
    "beschreibt erklärt erläutert behandelt zeigt übersicht überblick anleitung décrit explique présente "
    "montre détaille aperçu guide describe explica muestra presenta descripción guía descreve apresenta "
    "mostra descrição guia descrive spiega illustra panoramica guida beschrijft toont overzicht описывает "
    "объясняет рассматривает обзор"
)
_OF_ENGLISH_PAGES = frozenset(_ENGLISH.split())
_OF_OTHER_PAGES = _OF_ENGLISH_PAGES | frozenset(_OTHERS.split())


def discourse_words(language: str) -> frozenset[str]:
    """The discourse words of summaries in ``language``; the English ones are always among them."""
    return _OF_ENGLISH_PAGES if language == "en" else _OF_OTHER_PAGES
