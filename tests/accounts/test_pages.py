from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from accounts.models import User
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

PASSWORD = "a long passphrase"
FORM = {"name": "Ada", "email": "Ada@Example.com", "password1": PASSWORD, "password2": PASSWORD}


def test_sign_up_makes_an_account_and_signs_in(client: Client):
    response = client.post("/sign-up", FORM)

    assert (response.status_code, response["Location"]) == (302, "/apply")
    user = User.objects.get()
    assert (user.email, user.is_staff) == ("ada@example.com", False)
    assert client.session["_auth_user_id"] == str(user.pk)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"email": "ADA@example.com"}, "email"),
        ({"email": "x"}, "email"),
        ({"password2": "something else"}, "password2"),
        ({"password1": "password", "password2": "password"}, "password2"),
        ({"name": ""}, "name"),
    ],
)
def test_sign_up_with_a_mistake_shows_it(client: Client, changes, wrong):
    UserFactory.create(email="ada@example.com")
    fields = {**FORM, "email": "eve@example.com", **changes}

    response = client.post("/sign-up", fields)

    assert list(response.context["form"].errors) == [wrong]
    assert User.objects.count() == 1
    assert PASSWORD not in response.content.decode()


def test_sign_in_takes_the_address_in_any_case(client: Client):
    UserFactory.create(email="ada@example.com")

    response = client.post("/sign-in", {"username": "ADA@Example.com", "password": PASSWORD})

    assert (response.status_code, response["Location"]) == (302, "/applications")


def test_sign_in_leads_to_where_one_came_from_and_nowhere_else(client: Client):
    UserFactory.create(email="ada@example.com")
    fields = {"username": "ada@example.com", "password": PASSWORD}

    inside = client.post("/sign-in", {**fields, "next": "/apply"})
    client.logout()
    outside = client.post("/sign-in", {**fields, "next": "https://evil.example/"})

    assert (inside["Location"], outside["Location"]) == ("/apply", "/applications")


@pytest.mark.parametrize("active", [True, False])
def test_sign_in_that_fails_does_not_say_why(client: Client, active):
    UserFactory.create(email="ada@example.com", is_active=active)
    password = "wrong" if active else PASSWORD

    response = client.post("/sign-in", {"username": "ada@example.com", "password": password})

    assert list(response.context["form"].errors.as_data()) == ["__all__"]
    assert "_auth_user_id" not in client.session


def test_sign_out_needs_a_post(client: Client, student):
    client.force_login(student)

    assert client.get("/sign-out").status_code == 405
    assert client.post("/sign-out")["Location"] == "/"
    assert "_auth_user_id" not in client.session


def test_a_deactivated_user_is_signed_out(client: Client, student):
    client.force_login(student)
    User.objects.update(is_active=False)

    response = client.get("/applications", headers={"Accept": "text/html"})

    assert (response.status_code, response["Location"]) == (302, "/sign-in?next=/applications")


def test_an_address_is_stored_in_lower_case_whoever_stores_it(student):
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.update(email="Ada@example.com")
