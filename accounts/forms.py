from __future__ import annotations

from django import forms
from django.contrib.auth.forms import AuthenticationForm, BaseUserCreationForm, SetPasswordMixin
from django.utils.translation import gettext_lazy as _

from accounts.models import User


class SignUpForm(BaseUserCreationForm):  # type: ignore[type-arg] # not generic at run time
    """Name, address and a password typed twice."""

    password1, password2 = SetPasswordMixin.create_password_fields(
        label1=_("Password"), label2=_("Password again")
    )
    password1.help_text = _("At least 8 characters; no common password, and not only digits.")
    password2.help_text = ""

    class Meta:
        model = User
        fields = ["name", "email"]
        widgets = {
            "name": forms.TextInput(attrs={"autocomplete": "name", "autofocus": True}),
            "email": forms.EmailInput(attrs={"autocomplete": "email"}),
        }

    def full_clean(self) -> None:
        super().full_clean()
        _focus_first_error(self)

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).lower()
        if User.objects.filter(email=email).exists():
            raise forms.ValidationError(
                _("There is an account with this e-mail address already."), code="taken"
            )
        return email


class SignInForm(AuthenticationForm):
    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": _("The e-mail address or the password is wrong."),
    }
    username = forms.EmailField(
        label=_("E-mail address"),
        widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True}),
    )

    def full_clean(self) -> None:
        super().full_clean()
        _focus_first_error(self)


def _focus_first_error(form: forms.BaseForm) -> None:
    """Put the cursor where something has to be corrected."""
    wrong = [name for name in form.fields if name in form.errors]
    for name, field in form.fields.items() if wrong else ():
        field.widget.attrs["autofocus"] = name == wrong[0]
