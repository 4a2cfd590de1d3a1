from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from config.schema import ERRORS

OPERATIONS = {
    "register": "post /auth/register",
    "obtainToken": "post /auth/token",
    "refreshToken": "post /auth/token/refresh",
    "listApplications": "get /applications",
    "submitApplication": "post /applications",
    "retrieveApplication": "get /applications/{application_id}",
    "retrieveStatus": "get /applications/{application_id}/status",
    "replaceDocument": ("post /applications/{application_id}/files/{file_id}/replacement"),
    "downloadDocument": "get /applications/{application_id}/files/{file_id}/content",
    "withdrawApplication": "post /applications/{application_id}/withdrawal",
    "openCheckout": "post /payments/checkout/{application_id}",
    "receiveWebhook": "post /payments/webhooks/{provider}",
}


@pytest.fixture
def document(client) -> dict[str, Any]:
    response = client.get("/schema", headers={"Accept": "application/vnd.oai.openapi+json"})
    body: dict[str, Any] = response.json()
    return body


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_schema_is_a_valid_document_of_openapi_3_1(document):
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_schema_has_every_operation(document):
    found = {operation["operationId"]: where for where, operation in operations(document)}

    assert found == OPERATIONS
    assert set(ERRORS) == set(OPERATIONS)


def test_schema_describes_every_operation(document):
    for where, operation in operations(document):
        assert operation["summary"], where
        assert operation["tags"], where
        statuses = {int(status) for status in operation["responses"]}
        assert min(statuses) < 400, where
        assert max(statuses) >= 400, where
        for status, response in operation["responses"].items():
            assert response["description"] or int(status) < 300, (where, status)
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (where, status)


def test_schema_describes_the_submission(document):
    operation = document["paths"]["/applications"]["post"]

    (content_type,) = operation["requestBody"]["content"]
    assert content_type == "multipart/form-data"
    reference = operation["requestBody"]["content"][content_type]["schema"]["$ref"]
    fields = document["components"]["schemas"][reference.rpartition("/")[2]]["properties"]
    assert set(fields) == {"personalStatement", "files", "priority"}
    assert fields["files"]["items"]["format"] == "binary"
    assert fields["personalStatement"]["maxLength"] == 20_000
    assert "Idempotency-Key" in [parameter["name"] for parameter in operation["parameters"]]
    assert {"202", "400", "401", "403", "409", "413", "415", "422"} <= set(operation["responses"])


def test_docs_work_offline(client):
    page = client.get("/docs").content.decode()

    assert "http://" not in page.replace("http://testserver", "")
    assert "https://" not in page
