from __future__ import annotations

from django.urls import path

from payments import views

urlpatterns = [
    path("checkout/<uuid:application_id>", views.checkout, name="checkout"),
    path("webhooks/<slug:provider>", views.WebhookView.as_view(), name="payment-webhook"),
]
