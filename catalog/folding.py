"""Text as it is searched: without case and accents, words apart by one blank. Pure."""

import re
import unicodedata

LIGATURES = str.maketrans({"œ": "oe", "æ": "ae"})
WORD = re.compile(r"[^\W_]+")
# Words that say nothing about a dataset; letters that an apostrophe cuts off (l', d') are among them.
_ENGLISH = "a an and at by for from in of on or the to with"
_FRENCH = "au aux d dans de des du en et l la le les ou par pour sur un une"
EMPTY_WORDS = frozenset([*_ENGLISH.split(), *_FRENCH.split()])
SHORTEST_PLURAL = 4


def fold(text: str) -> str:
    """Give the words of a text in lower case and without accents: `Trois-Rivières` becomes `trois rivieres`."""
    apart = unicodedata.normalize("NFKD", text.casefold().translate(LIGATURES))
    plain = "".join(sign for sign in apart if not unicodedata.combining(sign))
    return " ".join(WORD.findall(plain))


def indexed(*texts: str) -> str:
    """Join texts for searching; every word has a blank before it, so that ` word` finds the beginnings of words."""
    return f" {' '.join(filter(None, map(fold, texts)))}"


def wanted(query: str) -> list[str]:
    """Give what a query asks for: a phrase for each part between blanks, without empty words and plural endings.

    `Cartes de Trois-Rivières` gives `carte` and `trois riviere`. A query of nothing but empty words keeps them.
    """
    phrases = [phrase for part in query.split() if (phrase := fold(part))]
    telling = [phrase for phrase in map(without_elision, phrases) if phrase not in EMPTY_WORDS] or phrases
    return list(dict.fromkeys(map(singular, telling)))


def without_elision(phrase: str) -> str:
    first, _, rest = phrase.partition(" ")
    return rest if rest and first in {"d", "l"} else phrase


def singular(phrase: str) -> str:
    """Cut a final s off a word long enough to be a plural: the beginning that is left finds both."""
    last = phrase.rpartition(" ")[2]
    return phrase[:-1] if len(last) >= SHORTEST_PLURAL and last.endswith("s") else phrase
