"""Withdrawing at a browser: the page that says what will happen, and the deed."""

from __future__ import annotations

import uuid

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from accounts.requests import request_id, signed_in_user
from applications import selectors, services
from applications.exceptions import AlreadyCompleted
from applications.models import PaymentState, Status
from applications.money import format_money


@login_required
@csrf_protect
@require_http_methods(["GET", "POST"])
def withdrawal(request: HttpRequest, application_id: uuid.UUID) -> HttpResponse:
    """Ask the student once more; on POST withdraw. A look at it changes nothing."""
    application = selectors.own_application(signed_in_user(request), application_id)
    if request.method == "POST":
        try:
            services.withdraw(application_id=application_id, request_id=request_id(request))
        except AlreadyCompleted as error:
            return _page(request, application_id, status=error.status_code)
        target = redirect("application-status", application_id=application_id)
        return HttpResponseRedirect(target.url, status=303)
    if application.status == Status.WITHDRAWN:
        return redirect("application-status", application_id=application_id)
    return _page(request, application_id)


def _page(request: HttpRequest, application_id: uuid.UUID, *, status: int = 200) -> HttpResponse:
    application = selectors.own_application(signed_in_user(request), application_id)
    context = {
        "application": application,
        "is_possible": application.status != Status.COMPLETED,
        "is_paid": application.payment == PaymentState.PAID,
        "fee": format_money(application.fee_amount, application.fee_currency),
    }
    return render(request, "applications/withdrawal.html", context, status=status)
