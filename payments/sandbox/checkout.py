"""The hosted page: whoever has a session's unguessable link may look, pay and decline."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import parse_qsl

from payments.sandbox import pages
from payments.sandbox.exchange import ApiError, Request, Response, Sandbox, redirect
from payments.sandbox.store import Tell


def show(sandbox: Sandbox, request: Request) -> Response:
    session = sandbox.store.get_session(request.path_id)
    if session is None:
        return _page(HTTPStatus.NOT_FOUND, pages.unknown())
    return _page(HTTPStatus.OK, pages.checkout(session))


def pay(sandbox: Sandbox, request: Request) -> Response:
    """Pay once and send the student back; a second click is sent back too and pays nothing.

    A form may say in `tell` how the shop is told of it; see `Store.pay`.
    """
    form = dict(parse_qsl(request.body.decode(errors="replace")))
    try:
        tell = Tell(form.get("tell", Tell.AT_ONCE))
    except ValueError:
        message = f"tell must be one of {', '.join(Tell)}."
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_request", message) from None
    session = sandbox.store.pay(request.path_id, tell)
    sandbox.sender.wake()
    if session is not None and session.status == "paid":
        return redirect(session.success_url)
    return redirect(f"/checkout/{request.path_id}")


def decline(sandbox: Sandbox, request: Request) -> Response:
    """Act as if the bank had refused the card; the page then says so and can be used again."""
    sandbox.store.decline(request.path_id)
    sandbox.sender.wake()
    return redirect(f"/checkout/{request.path_id}")


def _page(status: HTTPStatus, page: pages.Page) -> Response:
    headers = pages.HEADERS | {"Content-Security-Policy": page.policy}
    return Response(status=status, body=page.html.encode(), headers=headers)
