"""Every limit of the program that inspects documents; it knows no settings of Django.

Bytes, pixels, characters and seconds are meant as the names say.
"""

from __future__ import annotations

# --- What a document may be ---
MAX_PAGES = 50
# What a PDF may have at most is known as so many: they are stored in a small column, and staff get
# a picture of each.
MAX_COUNTED_PAGES = 1_000
MAX_PIXELS = 40_000_000
# Past this an image is no photograph that came out too large, but made to fill a memory.
BOMB_PIXELS = 89_000_000

# --- What a PDF may be made of ---
MAX_NESTING = 100  # arrays and dictionaries in one object
MAX_CHAIN = 2_000  # references, one behind the other, from the root to an object
# Arrays and dictionaries, all together. So many take up to 2 s of CPU time, and 110 to 220 MiB of
# addresses: less than is allowed, so that who has more is told of this.
MAX_CONTAINERS = 100_000
MAX_STREAM_BYTES = 32 * 2**20  # one stream that is no image, unpacked
MAX_ALL_STREAMS_BYTES = 128 * 2**20  # all of them

# --- What the program may use ---
MAX_INPUT_BYTES = 10 * 2**20
# A progressive JPEG of 40 megapixels needs 280 MiB of addresses. With that of the worker it must
# stay under 400 MB.
ADDRESS_SPACE_BYTES = 320 * 2**20
# Far below the sandbox's limit on wall clock time, so that a hostile file meets this one first.
CPU_SECONDS = 5
# Nothing is written but Python's own compiled files.
FILE_BYTES = 2**20

# --- Reading text ---
MAX_TEXT_CHARACTERS = 20_000
# A page with fewer letters and digits in its text layer is taken for a scan: a scanner's stamp
# or a page number is no text.
MIN_TEXT_CHARACTERS = 20
OCR_PAGES = 3
# Counted from the start of the program, so that an attempt of the queue has time for its end.
OCR_SECONDS = 8.0
ANSWER_SECONDS = 1.0  # kept of the time that is given, to end and to answer
OCR_PIXELS = 2_400  # longest side of the picture that is read: 200 dpi for A4
ORIENTATION_PIXELS = 1_200  # longest side of the picture that tells how a page is turned
MIN_CONFIDENCE = 65.0  # mean of the words, of 100; clear print has more than 90

# --- Pictures for staff ---
PICTURE_PIXELS = 1_400  # longest side
