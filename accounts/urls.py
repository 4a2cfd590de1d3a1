from __future__ import annotations

from django.contrib.auth import views as auth_views
from django.urls import path

from accounts import api, views
from accounts.forms import SignInForm

urlpatterns = [
    path("auth/register", api.RegisterView.as_view(), name="register"),
    path("auth/token", api.TokenView.as_view(), name="token"),
    path("auth/token/refresh", api.RefreshView.as_view(), name="token-refresh"),
    path("sign-up", views.sign_up, name="sign-up"),
    path(
        "sign-in",
        auth_views.LoginView.as_view(
            template_name="accounts/sign_in.html",
            authentication_form=SignInForm,
            redirect_authenticated_user=True,
        ),
        name="sign-in",
    ),
    path("sign-out", auth_views.LogoutView.as_view(), name="sign-out"),
]
