"""Say a sentence of a pure module in the language of the moment."""

from django.utils.translation import gettext

from catalog.sentences import Sentence


def say(text: object) -> str:
    """Give a text, a sentence or an error for people: sentences in the language of the moment, others as they are."""
    words = getattr(text, "message", text)
    if not isinstance(words, Sentence):
        return str(words)
    return gettext(words.template) % {name: said(fact) for name, fact in words.facts.items()}


def said(fact: object) -> object:
    """Say a fact: a sentence, several of them one after another, or what is not for translation as it is."""
    if isinstance(fact, tuple):
        return " ".join(say(one) for one in fact)
    return say(fact) if isinstance(fact, Sentence) else fact
