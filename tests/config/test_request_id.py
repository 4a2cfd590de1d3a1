from __future__ import annotations

import re

import pytest

from outbox.models import Outbox
from tests.applications.conftest import client_of
from tests.applications.submissions import submit

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("given", ["a", "trace-1:2.3_4", "x" * 64])
def test_a_good_request_id_is_kept(client, given):
    assert client.get("/healthz", headers={"X-Request-ID": given})["X-Request-ID"] == given


@pytest.mark.parametrize(
    "given", [None, "", "x" * 65, "a b", "a\r\nSet-Cookie: x", "ä", "<b>", "a\n"]
)
def test_any_other_request_id_is_replaced(client, given):
    headers = {} if given is None else {"X-Request-ID": given}

    ids = {client.get("/healthz", headers=headers)["X-Request-ID"] for _ in range(2)}

    assert len(ids) == 2
    assert all(re.fullmatch(r"[0-9a-f]{32}", request_id) for request_id in ids)


def test_the_request_id_is_in_the_problem(client):
    response = client.get("/nothing", headers={"X-Request-ID": "mine"})

    assert response.json()["requestId"] == response["X-Request-ID"] == "mine"


def test_the_request_id_is_kept_on_the_work_of_the_request(student):
    submit(client_of(student), headers={"X-Request-ID": "mine"})
    client = client_of(student)
    made_up = submit(client)["X-Request-ID"]

    ids = Outbox.objects.order_by("id").values_list("request_id", flat=True)
    assert list(ids) == ["mine", "mine", made_up, made_up]
