"""What a submission is checked for, in which order."""

from __future__ import annotations

import pytest
from django.test import Client
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from applications.models import Application
from tests.applications.documents import PDF_HEAD
from tests.applications.submissions import (
    BOUNDARY,
    MULTIPART,
    STATEMENT,
    URL,
    assert_nothing_is_left,
    assert_problem,
    body_of,
    file_part,
    submit,
    submit_raw,
    text_part,
    upload,
)

pytestmark = pytest.mark.django_db

TOO_LONG = {"CONTENT_LENGTH": str(100 * 1024 * 1024)}
BAD_KEY = {"Idempotency-Key": ""}


def test_not_signed_in_comes_before_everything(client):
    response = APIClient().generic(
        "POST", URL, b"{", "application/json", headers=BAD_KEY, **TOO_LONG
    )

    assert_problem(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"] == 'Bearer realm="api"'


def test_a_wrong_token_comes_before_everything(bearer):
    bearer.credentials(HTTP_AUTHORIZATION="Bearer nonsense")

    response = bearer.generic("POST", URL, b"{", "application/json", headers=BAD_KEY, **TOO_LONG)

    assert_problem(response, 401, "token_not_valid")


def test_no_csrf_token_comes_before_the_type(student):
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(student)

    response = client.generic("POST", URL, b"{", "application/json", headers=BAD_KEY, **TOO_LONG)

    assert_problem(response, 403, "permission_denied")


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain", ""]
)
def test_another_type_comes_before_the_length(bearer, content_type):
    response = bearer.generic(
        "POST", URL, b"{}", content_type=content_type, headers=BAD_KEY, **TOO_LONG
    )

    assert_problem(response, 415, "unsupported_media_type")


def test_too_long_a_body_comes_before_the_key(bearer, storage_dir):
    response = bearer.generic(
        "POST", URL, body_of([]), content_type=MULTIPART, headers=BAD_KEY, **TOO_LONG
    )

    assert_problem(response, 413, "too_large")
    assert_nothing_is_left(storage_dir)


def test_the_length_may_be_just_the_limit(bearer, settings):
    body = body_of([text_part("personalStatement", STATEMENT), file_part("a.pdf", PDF_HEAD)])
    settings.MAX_TOTAL_FILE_BYTES = len(body) - 100
    settings.MAX_FORM_OVERHEAD_BYTES = 100

    at_the_limit = submit_raw(bearer, body)
    settings.MAX_FORM_OVERHEAD_BYTES = 99
    over_it = submit_raw(bearer, body)

    assert at_the_limit.status_code == 202
    assert_problem(over_it, 413, "too_large")


def test_a_bad_key_comes_before_the_body(bearer, storage_dir):
    response = submit_raw(bearer, b"not multipart at all", **BAD_KEY)

    assert_problem(response, 400, "invalid", **{"Idempotency-Key": "invalid_idempotency_key"})
    assert_nothing_is_left(storage_dir)


def test_a_used_key_comes_before_the_fields(bearer):
    submit(bearer, key="k")

    response = submit(bearer, key="k", statement="")

    assert_problem(response, 422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"not multipart at all", MULTIPART),
        (b"--other\r\n\r\n--other--\r\n", MULTIPART),
        (body_of([text_part("personalStatement", STATEMENT)]), "multipart/form-data"),
        (body_of([text_part("personalStatement", STATEMENT)]), "multipart/form-data; boundary="),
        (body_of([text_part("personalStatement", STATEMENT)]), "multipart/form-data; boundary=ä"),
        (
            body_of(
                [
                    b'Content-Disposition: form-data; name="files"; filename="a.pdf"\r\n'
                    b"Content-Transfer-Encoding: base64\r\n\r\n" + b"A" * 1001
                ]
            ),
            MULTIPART,
        ),
    ],
    ids=[
        "no multipart",
        "other boundary",
        "no boundary",
        "empty boundary",
        "odd boundary",
        "base64",
    ],
)
def test_a_malformed_body_is_refused(bearer, storage_dir, body, content_type):
    response = submit_raw(bearer, body, content_type, **{"Idempotency-Key": "k"})

    assert_problem(response, 400, "parse_error")
    assert_nothing_is_left(storage_dir)


def test_the_boundary_may_be_quoted(bearer):
    response = submit_raw(
        bearer,
        body_of([text_part("personalStatement", STATEMENT)]),
        f'multipart/form-data; charset=utf-8; boundary="{BOUNDARY}"',
    )

    assert response.status_code == 202


def test_every_way_to_break_off_the_body_is_refused(bearer, storage_dir):
    body = body_of(
        [
            text_part("personalStatement", STATEMENT),
            file_part("a.pdf", PDF_HEAD + b"a" * 50),
            file_part("b.pdf", PDF_HEAD + b"b" * 50),
            text_part("priority", ""),
        ]
    )
    complete = len(body.rstrip(b"\r\n"))
    # A prime step meets every part of the body, and the last bytes are all tried.
    for length in [*range(1, complete - 20, 7), *range(complete - 20, complete)]:
        response = submit_raw(bearer, body[:length], **{"Idempotency-Key": "k"})
        assert response.status_code == 400, body[:length]
    assert_problem(response, 400, "parse_error")
    assert_nothing_is_left(storage_dir)

    assert submit_raw(bearer, body[:complete], **{"Idempotency-Key": "k"}).status_code == 202


def test_a_refused_request_can_be_sent_again_with_its_key(bearer):
    refused = submit(bearer, upload(b"junk"), key="k")
    accepted = submit(bearer, upload(), key="k")

    assert (refused.status_code, accepted.status_code) == (400, 202)
    assert "Idempotency-Replayed" not in accepted


def test_a_session_needs_the_csrf_token_in_a_header(student, storage_dir):
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(student)
    client.get("/apply")
    token = client.cookies["csrftoken"].value

    in_the_form = submit(client, upload(), csrfmiddlewaretoken=token)
    assert_problem(in_the_form, 403, "permission_denied")
    assert_nothing_is_left(storage_dir)

    in_a_header = submit(client, upload(), headers={"X-CSRFToken": token})
    assert in_a_header.status_code == 202
    assert Application.objects.get().student == student


def test_a_token_needs_no_csrf_token(student):
    client = APIClient(enforce_csrf_checks=True)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(student)}")

    assert submit(client).status_code == 202


def test_a_session_with_a_foreign_origin_is_refused(student):
    client = Client(enforce_csrf_checks=True)
    client.force_login(student)
    client.get("/apply")
    headers = {"X-CSRFToken": client.cookies["csrftoken"].value, "Origin": "https://evil.example"}

    response = client.post(URL, {"personalStatement": STATEMENT}, headers=headers)

    assert_problem(response, 403, "permission_denied")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_another_method_is_not_allowed(bearer, method):
    response = bearer.generic(method, URL)

    assert_problem(response, 405, "method_not_allowed")
    assert response["Allow"] == "GET, POST, HEAD, OPTIONS"
