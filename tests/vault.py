"""Finding secrets in texts, fast: thousands of secrets, and every log line of a whole run.

Of each form of a secret the first few grams (pieces of eight characters) are kept; of a text every
so manieth gram is looked up. Wherever a secret begins, one of its grams is among those.
"""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from urllib.parse import quote

GRAM = 8
STRIDE = 9
SHORTEST = 7
"""A shorter word is no secret: texts have it by chance."""

SHORTEST_TEXT = 16
"""Nor is a shorter one that might stand in any sentence, such as `a token`."""

PUBLIC = {"guest", "password"}
"""What everybody knows, or what any text says."""


class Vault:
    """Secrets in the forms in which they may be written down.

    Example:
        >>> vault = Vault()
        >>> vault.learn("correct horse battery staple")
        >>> "battery" in vault, "amqp://me:correct%20horse%20battery%20staple@host/" in vault
        (False, True)
    """

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._by_gram: defaultdict[str, set[str]] = defaultdict(set)
        self._short: set[str] = set()

    def learn(self, secret: str) -> None:
        """Know a secret from now on."""
        if secret in self._secrets or secret in PUBLIC or _is_ordinary(secret):
            return
        self._secrets.add(secret)
        for form in forms_of(secret):
            if len(form) < GRAM + STRIDE - 1:
                self._short.add(form)
                continue
            for begin in range(STRIDE):
                self._by_gram[form[begin : begin + GRAM]].add(form)

    def __contains__(self, text: str) -> bool:
        """Whether a secret is in ``text``."""
        by_gram = self._by_gram
        for begin in range(0, len(text) - GRAM + 1, STRIDE):
            forms = by_gram.get(text[begin : begin + GRAM])
            if forms is not None and any(form in text for form in forms):
                return True
        return any(form in text for form in self._short)


def _is_ordinary(secret: str) -> bool:
    is_text = all(letter.isalpha() or letter == " " for letter in secret)
    return len(secret) < (SHORTEST_TEXT if is_text else SHORTEST)


def forms_of(secret: str) -> set[str]:
    """Give what a secret looks like as it is, in a URL, in a ``repr``, and inside of base64."""
    encoded = secret.encode()
    plain = {secret, quote(secret), quote(secret, safe=""), repr(secret)[1:-1]}
    plain |= {repr(encoded)[2:-1], encoded.hex()}
    return plain | {_inside_of_base64(encoded, before) for before in range(3)}


def _inside_of_base64(encoded: bytes, before: int) -> str:
    """Encode with so many bytes before; without the characters that its neighbours share."""
    text = b64encode(bytes(before) + encoded).decode().rstrip("=")
    whole = (before + len(encoded)) * 8 // 6
    return text[-(-before * 8 // 6) : whole]
