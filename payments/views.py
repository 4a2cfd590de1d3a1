"""Paying: the page with the fee, the way to the provider's checkout, and its webhooks."""

from __future__ import annotations

import uuid
from functools import wraps

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods
from drf_spectacular.utils import OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, NotFound, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.requests import signed_in_user, wants_page
from applications.models import PaymentState
from applications.money import format_money
from applications.selectors import visible_applications
from payments import checkout as checkouts
from payments import events, providers


class NothingToPay(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = gettext_lazy("There is nothing to pay now.")
    default_code = "nothing_to_pay"


class MoneyOnItsWay(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = gettext_lazy(
        "You have paid already: the money is on its way to us. There is nothing more to do."
    )
    default_code = "money_on_its_way"


class ProviderUnavailable(APIException):
    status_code = status.HTTP_502_BAD_GATEWAY
    default_detail = gettext_lazy("The payment provider can't be reached. Try again in a moment.")
    default_code = "provider_unavailable"


class SeeOther(HttpResponseRedirect):
    status_code = status.HTTP_303_SEE_OTHER


class CheckoutView(APIView):
    @extend_schema(
        operation_id="openCheckout",
        summary="Pay the fee",
        description="Opens the checkout, or finds the open one, and redirects to its page.",
        tags=["payments"],
        request=None,
        responses={303: OpenApiResponse(description="`Location` is the page of the provider.")},
    )
    def post(self, request: Request, application_id: uuid.UUID) -> HttpResponse:
        get_object_or_404(visible_applications(signed_in_user(request)), pk=application_id)
        try:
            return SeeOther(checkouts.open_checkout(application_id=application_id))
        except checkouts.MoneyOnItsWay as error:
            raise MoneyOnItsWay from error
        except checkouts.NothingToPay as error:
            raise NothingToPay from error
        except providers.ProviderError as error:
            raise ProviderUnavailable from error


@csrf_exempt  # checkout_page checks it; with a token there is no cookie to misuse
@wraps(CheckoutView.as_view())  # the schema is read off the API's view
def checkout(request: HttpRequest, application_id: uuid.UUID) -> HttpResponse:
    """Serve an API client that sends a token, or should, and a browser with the page."""
    needs_token = not (request.user.is_authenticated or wants_page(request))
    if request.method != "GET" and ("Authorization" in request.headers or needs_token):
        return CheckoutView.as_view()(request, application_id=application_id)
    return checkout_page(request, application_id)


@login_required
@csrf_protect
@require_http_methods(["GET", "POST"])
def checkout_page(request: HttpRequest, application_id: uuid.UUID) -> HttpResponse:
    """Show the fee; on POST go to the provider's checkout. A look at it changes nothing."""
    application = get_object_or_404(
        visible_applications(signed_in_user(request)), pk=application_id
    )
    error, code = "", 200
    if request.method == "POST":
        try:
            return SeeOther(checkouts.open_checkout(application_id=application_id))
        except checkouts.MoneyOnItsWay:
            error, code = str(MoneyOnItsWay.default_detail), status.HTTP_409_CONFLICT
        except checkouts.NothingToPay:
            code = status.HTTP_409_CONFLICT
        except providers.ProviderError:
            error, code = str(ProviderUnavailable.default_detail), status.HTTP_502_BAD_GATEWAY
    context = {
        "application": application,
        "fee": format_money(application.fee_amount, application.fee_currency),
        "payable": application.payment in {PaymentState.AWAITING, PaymentState.FAILED},
        "paid": application.payment == PaymentState.PAID,
        "error": error,
    }
    return render(request, "payments/checkout.html", context, status=code)


class RawParser(BaseParser):
    """Leaves the body as it is: the signature is over its bytes."""

    media_type = "*/*"

    def parse(self, stream: object, *args: object, **kwargs: object) -> dict[str, object]:
        return {}


class WebhookView(APIView):
    """Where the provider tells us what happened to a checkout."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    parser_classes = (RawParser,)

    @extend_schema(
        operation_id="receiveWebhook",
        summary="Webhook of the payment provider",
        description="Signed by the provider; a repeated event is accepted and changes nothing.",
        tags=["payments"],
        request={"application/json": {"type": "object"}},
        responses={
            200: inline_serializer("WebhookReceived", {"received": serializers.BooleanField()})
        },
    )
    def post(self, request: Request, provider: str) -> Response:
        body = request._request.body  # before anything parses it
        try:
            event = providers.get_provider(provider).parse_webhook(
                headers=request.headers, body=body
            )
        except providers.UnknownProvider as error:
            raise NotFound from error
        except providers.InvalidWebhook as error:
            raise ParseError(_("The signature or the event is not valid.")) from error
        if event is not None:
            events.receive_event(provider=provider, event=event)
        return Response({"received": True})
