from __future__ import annotations

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from rest_framework import serializers
from rest_framework_simplejwt.exceptions import AuthenticationFailed
from rest_framework_simplejwt.serializers import TokenRefreshSerializer

from accounts.models import User


class RegistrationSerializer(serializers.Serializer[User]):
    email = serializers.EmailField(max_length=254)
    password = serializers.CharField(
        max_length=128, write_only=True, trim_whitespace=False, style={"input_type": "password"}
    )
    name = serializers.CharField(max_length=150)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            validate_password(
                attrs["password"], User(email=attrs["email"].lower(), name=attrs["name"])
            )
        except ValidationError as error:
            raise serializers.ValidationError({"password": error.messages}) from error
        return attrs


class RefreshSerializer(TokenRefreshSerializer):
    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        try:
            return super().validate(attrs)
        except User.DoesNotExist as error:  # simplejwt lets it through
            raise AuthenticationFailed(code="no_active_account") from error


class AccountSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ["email", "name"]
