"""Words of others, in characters that every database can hold."""


def storable(words: str) -> str:
    """Write lone surrogates and NUL, which PostgreSQL refuses, as their escapes; all else stays."""
    return words.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
