"""A student's client: what the demo does through the public HTTP API, and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

import httpx

from runtime.exceptions import RuntimeProblem
from runtime.sample_documents import REFERENCE, TRANSCRIPT, pdf

TIMEOUT_SECONDS = 10.0
# A demo is watched: it does not wait as long as Retry-After asks other clients to.
LONGEST_PAUSE_SECONDS = 0.2


class DemoClient:
    """One signed-in student with one application. `status` is the last status document."""

    def __init__(self, address: str) -> None:
        # Not through a proxy that the environment may name.
        self._http = httpx.Client(base_url=address, timeout=TIMEOUT_SECONDS, trust_env=False)
        self._etag = ""
        self._status_url = self._pay_url = ""
        self.status: dict[str, Any] = {}

    def sign_in(self, email: str, password: str) -> None:
        answer = self._http.post("/auth/token", json={"email": email, "password": password})
        token = _expect(answer, 200).json()["access"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def submit(self, documents: Mapping[str, bytes] | None = None) -> float:
        """Send an application with these PDFs by name, or two; return the seconds until its 202."""
        if documents is None:
            documents = {"transcript.pdf": pdf(TRANSCRIPT), "reference.pdf": pdf(REFERENCE)}
        answer = self._http.post(
            "/applications",
            headers={"Idempotency-Key": str(uuid.uuid4())},
            data={"personalStatement": "I want to learn how queues keep their promises."},
            files=[("files", _part(name, content)) for name, content in documents.items()],
        )
        document = _expect(answer, 202).json()
        self._status_url, self._pay_url = document["statusUrl"], document["payUrl"]
        self._etag, self.status = "", {}
        return answer.elapsed.total_seconds()

    def follow(self) -> float:
        """Ask for the status, if it has changed; return the seconds to wait before asking again."""
        answer = self._http.get(self._status_url, headers={"If-None-Match": self._etag})
        if answer.status_code != httpx.codes.NOT_MODIFIED:
            self.status = _expect(answer, 200).json()
            self._etag = answer.headers["ETag"]
        asked = float(answer.headers.get("Retry-After", LONGEST_PAUSE_SECONDS))
        return min(asked, LONGEST_PAUSE_SECONDS)

    def replace(self, name: str, content: bytes) -> None:
        """Send a new version of the document of this name, where its status says."""
        address = next(
            file["replaceUrl"] for file in self.status["documents"] if file["name"] == name
        )
        if address is None:
            raise RuntimeProblem(f"{name} can't be replaced:\n{self.status}")
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        answer = self._http.post(address, headers=headers, files={"file": _part(name, content)})
        _expect(answer, 202)

    def pay(self) -> str:
        """Open the checkout and pay on the provider's page; return that page's address."""
        return self._at_checkout("pay")

    def decline(self) -> str:
        """Open the checkout and have the card declined there; return that page's address."""
        return self._at_checkout("decline")

    def _at_checkout(self, button: str) -> str:
        answer = _expect(self._http.post(self._pay_url), 303)
        page = urljoin(str(answer.url), answer.headers["Location"])
        # The provider is somebody else: it never sees the student's token.
        with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False) as browser:
            _expect(browser.get(page), 200)
            _expect(browser.post(f"{page}/{button}"), 303)
        return page

    def close(self) -> None:
        self._http.close()


def _part(name: str, content: bytes) -> tuple[str, bytes, str]:
    return name, content, "application/pdf"


def _expect(answer: httpx.Response, status: int) -> httpx.Response:
    if answer.status_code != status:
        raise RuntimeProblem(
            f"{answer.request.method} {answer.url} answered {answer.status_code}, "
            f"not {status}:\n{answer.text[:2000]}"
        )
    return answer
