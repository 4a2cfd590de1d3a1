"""A web process that is killed while it takes in a submission: `… TOKEN KEY FUNCTION WHEN`.

FUNCTION is the full name of a function; WHEN says whether the process kills itself before or after
it has run.
"""

from __future__ import annotations

import sys

import django


def main(token: str, key: str, function: str, when: str) -> None:
    django.setup()
    from django.core.files.uploadedfile import SimpleUploadedFile  # noqa: PLC0415
    from rest_framework.test import APIClient  # noqa: PLC0415

    from tests.dying_delivery import die_at  # noqa: PLC0415

    client = APIClient(SERVER_NAME="localhost")
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    die_at(function, when)
    client.post(
        "/applications",
        {
            "personalStatement": "I want to study mathematics.",
            "files": [SimpleUploadedFile("transcript.pdf", b"%PDF-1.7\n", "application/pdf")],
        },
        format="multipart",
        headers={"Idempotency-Key": key},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
