"""Sentences of pure modules: said in English, with what is needed to say them in another language. Pure.

    from catalog.sentences import sentence as _

    raise PathError(_("Path %(path)s: it is empty; name a file.", path=path))

The name `_` is how the collector of strings finds them; `catalog.say.say` says them in the language of the moment.
"""

from collections.abc import Mapping


class Sentence(str):
    """An English sentence; `template` and `facts` are its parts, of which facts may be sentences again."""

    __slots__ = ("facts", "template")
    template: str
    facts: Mapping[str, object]


def sentence(template: str, **facts: object) -> Sentence:
    """Fill a template with named places; a fact that is a tuple is said one after another."""
    made = Sentence(template % {name: joined(fact) for name, fact in facts.items()})
    made.template, made.facts = template, facts
    return made


def joined(fact: object) -> object:
    return " ".join(str(one) for one in fact) if isinstance(fact, tuple) else fact
