from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import RefreshToken

from accounts import services
from accounts.models import User
from tests.applications.submissions import assert_problem, codes
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

PASSWORD = "a long passphrase"
ADA = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada"}


@pytest.fixture
def anyone() -> APIClient:
    return APIClient()


def post(client: APIClient, path: str, body: object):
    return client.post(path, body, format="json")


def token_of(client: APIClient, email: str = "ada@example.com", password: str = PASSWORD):
    return post(client, "/auth/token", {"email": email, "password": password})


def test_register_makes_a_student(anyone):
    response = post(anyone, "/auth/register", ADA)

    assert (response.status_code, response.json()) == (
        201,
        {"email": "ada@example.com", "name": "Ada"},
    )
    user = User.objects.get()
    assert (user.is_active, user.is_staff, user.is_superuser) == (True, False, False)
    assert user.check_password(PASSWORD)


def test_register_keeps_the_address_in_lower_case(anyone):
    response = post(anyone, "/auth/register", {**ADA, "email": "Ada@Example.COM"})

    assert response.json()["email"] == User.objects.get().email == "ada@example.com"


def test_register_takes_no_other_fields(anyone):
    post(anyone, "/auth/register", {**ADA, "is_staff": True, "isStaff": True, "id": 1})

    assert User.objects.get().is_staff is False


@pytest.mark.parametrize("email", ["ada@example.com", "ADA@example.com", "Ada@EXAMPLE.com"])
def test_register_with_a_taken_address_is_refused(anyone, email):
    UserFactory.create(email="ada@example.com")

    response = post(anyone, "/auth/register", {**ADA, "email": email})

    assert_problem(response, 400, "invalid", email="taken")
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"email": "no address"}, {"email": "invalid"}),
        ({"email": ""}, {"email": "blank"}),
        ({"email": f"{'x' * 250}@example.com"}, {"email": "max_length"}),
        ({"email": "ada@example.com\r\nBcc: x@example.com"}, {"email": "invalid"}),
        ({"name": ""}, {"name": "blank"}),
        ({"name": "x" * 151}, {"name": "max_length"}),
        ({"name": "a\x00b"}, {"name": "null_characters_not_allowed"}),
        ({"name": None, "password": None}, {"name": "null", "password": "null"}),
        ({"password": "x" * 129}, {"password": "max_length"}),
    ],
)
def test_register_with_a_bad_field_is_refused(anyone, changes, errors):
    response = post(anyone, "/auth/register", {**ADA, **changes})

    assert (response.status_code, codes(response)) == (400, errors)
    assert User.objects.count() == 0


@pytest.mark.parametrize("password", ["short", "password1234", "12345678901", "ada@example.com"])
def test_register_with_a_weak_password_is_refused(anyone, password):
    response = post(anyone, "/auth/register", {**ADA, "password": password})

    assert response.status_code == 400
    assert {error["pointer"] for error in response.json()["errors"]} == {"/password"}
    assert User.objects.count() == 0


def test_register_says_all_that_is_missing(anyone):
    response = post(anyone, "/auth/register", {})

    assert_problem(response, 400, "invalid", email="required", password="required", name="required")


@pytest.mark.parametrize("body", [b"{", b"", b"[1]", b'"text"'])
def test_register_with_a_malformed_body_is_refused(anyone, body):
    response = anyone.generic("POST", "/auth/register", body, content_type="application/json")

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


def test_register_takes_json_only(anyone):
    assert_problem(
        anyone.post("/auth/register", ADA, format="multipart"), 415, "unsupported_media_type"
    )


@pytest.mark.django_db(transaction=True)
def test_register_at_the_same_moment_makes_one_account():
    barrier = threading.Barrier(4)

    def register(number: int) -> str:
        barrier.wait()
        try:
            services.register(email="Ada@example.com", name=f"Ada {number}", password=PASSWORD)
        except services.EmailTaken:
            return "taken"
        finally:
            connection.close()
        return "made"

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(register, range(4)))

    assert outcomes == ["made", "taken", "taken", "taken"]
    assert User.objects.count() == 1


def test_a_token_opens_the_api(anyone):
    post(anyone, "/auth/register", ADA)

    tokens = token_of(anyone, "ADA@Example.com").json()

    assert set(tokens) == {"access", "refresh"}
    anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access']}")
    assert anyone.get("/applications").json()["results"] == []


def test_a_token_is_renewed(anyone):
    UserFactory.create(email="ada@example.com")
    tokens = token_of(anyone).json()

    renewed = post(anyone, "/auth/token/refresh", {"refresh": tokens["refresh"]}).json()

    anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {renewed['access']}")
    assert anyone.get("/applications").status_code == 200
    anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['refresh']}")
    assert_problem(anyone.get("/applications"), 401, "token_not_valid")


@pytest.mark.parametrize(
    ("email", "password"), [("ada@example.com", "wrong"), ("eve@example.com", PASSWORD)]
)
def test_wrong_credentials_get_no_token(anyone, email, password):
    UserFactory.create(email="ada@example.com")

    response = token_of(anyone, email, password)

    assert_problem(response, 401, "no_active_account")
    assert "WWW-Authenticate" in response


def test_a_token_request_without_fields_is_refused(anyone):
    assert_problem(
        post(anyone, "/auth/token", {}), 400, "invalid", email="required", password="required"
    )


@pytest.mark.parametrize("refresh", ["nonsense", "", None])
def test_a_wrong_refresh_token_is_refused(anyone, refresh):
    response = post(anyone, "/auth/token/refresh", {"refresh": refresh})

    assert response.status_code == (401 if refresh else 400)
    assert response["Content-Type"] == "application/problem+json"


def test_a_deactivated_user_is_refused_everywhere(anyone):
    user = UserFactory.create(email="ada@example.com")
    tokens = token_of(anyone).json()
    user.is_active = False
    user.save()

    assert_problem(token_of(anyone), 401, "no_active_account")
    refresh = post(anyone, "/auth/token/refresh", {"refresh": tokens["refresh"]})
    assert refresh.status_code == 401
    anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access']}")
    assert_problem(anyone.get("/applications"), 401, "authentication_failed")


def test_the_token_of_a_deleted_user_is_refused(anyone):
    user = UserFactory.create()
    refresh = RefreshToken.for_user(user)
    user.delete()

    assert post(anyone, "/auth/token/refresh", {"refresh": str(refresh)}).status_code == 401
    anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {refresh.access_token}")
    assert_problem(anyone.get("/applications"), 401, "authentication_failed")
