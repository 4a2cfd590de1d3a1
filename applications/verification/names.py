"""Whether a person's name stands in a text, however it was written, printed or read by OCR."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

# Parts of one letter, as initials, stand in any text and say nothing.
MIN_PART_LETTERS = 2
# How many other words may stand between the parts: room for the labels of a form.
MAX_WORDS_BETWEEN = 5
# Letters with a stroke or a ligature, which Unicode does not decompose. The eth looks like the
# Vietnamese capital Đ and is typed for it.
PLAIN_LETTERS = str.maketrans(
    {"đ": "d", "ð": "d", "ø": "o", "ł": "l", "ı": "i", "æ": "ae", "œ": "oe"}
)
# A hyphen and the line break behind it. PDFium makes one character of both, U+FFFE or U+0002.
HYPHENATION = re.compile("[-\u00ad\u2010\u2011][ \t]*\r?\n\\s*|[\ufffe\u0002]")
WORD = re.compile(r"[^\W_]+")


def is_named_in(name: str, text: str) -> bool:
    """Say whether every part of the name stands in the text, in any order but near one another.

    Case, diacritics, punctuation and hyphenation make no difference. A part is a word of at least
    `MIN_PART_LETTERS` letters; False if the name has none. Takes time linear in both lengths.
    """
    parts = [part for part in _words(name) if len(part) >= MIN_PART_LETTERS]
    if not parts:
        return False
    # The hyphen may have split a word (Ngu-yen) or belong to it (Anne-Marie).
    readings = {HYPHENATION.sub(joint, text) for joint in ("", " ")}
    return any(_stand_together(parts, _words(reading)) for reading in readings)


def _words(text: str) -> list[str]:
    return WORD.findall("".join(map(_folded, text)).translate(PLAIN_LETTERS))


def _folded(character: str) -> str:
    """Return the character in lower case without marks and invisible parts, as 0 to 18 others.

    One at a time: a whole text would take time quadratic in the length of a run of marks.
    """
    if character.isascii():
        return character.lower()
    base = (c for c in unicodedata.normalize("NFKD", character) if not _is_mark(c))
    return "".join(base).casefold()


def _is_mark(character: str) -> bool:
    """Say whether it changes or joins letters: a combining mark (M) or a format character (Cf)."""
    category = unicodedata.category(character)
    return category.startswith("M") or category == "Cf"


def _stand_together(parts: list[str], words: list[str]) -> bool:
    """Say whether a run of words has all parts, each as often as the name has it."""
    wanted = Counter(parts)
    missing = len(parts)
    longest_run = len(parts) + MAX_WORDS_BETWEEN
    for position, word in enumerate(words):
        if word in wanted:
            missing -= wanted[word] > 0
            wanted[word] -= 1
        if position >= longest_run and (left := words[position - longest_run]) in wanted:
            wanted[left] += 1
            missing += wanted[left] > 0
        if missing == 0:
            return True
    return False
