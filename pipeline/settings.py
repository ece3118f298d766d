"""Settings that take several words, separated by commas."""

from collections.abc import Collection

from pipeline.errors import UserError


def words(text: str) -> tuple[str, ...]:
    """The words of a setting, each once."""
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def chosen(option: str, text: str, known: Collection[str]) -> tuple[str, ...]:
    """The words of a setting; an error for one that means nothing."""
    found = words(text)
    for word in found:
        if word not in known:
            raise UserError(f"{option} {word}: known are {', '.join(known)}")
    return found
