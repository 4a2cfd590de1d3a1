"""The API for accounts: register, and tokens."""

from __future__ import annotations

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from accounts import services
from accounts.serializers import AccountSerializer, RefreshSerializer, RegistrationSerializer


class RegisterView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(
        operation_id="register",
        summary="Create a student's account",
        tags=["accounts"],
        request=RegistrationSerializer,
        responses={201: AccountSerializer},
        examples=[
            OpenApiExample(
                "A new student",
                value={"email": "ada@example.com", "password": "a long passphrase", "name": "Ada"},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        serializer = RegistrationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            user = services.register(**serializer.validated_data)
        except services.EmailTaken as error:
            message = _("There is an account with this e-mail address already.")
            raise ValidationError({"email": [message]}, code="taken") from error
        return Response(AccountSerializer(user).data, status=status.HTTP_201_CREATED)


@extend_schema_view(
    post=extend_schema(operation_id="obtainToken", summary="Sign in", tags=["accounts"])
)
class TokenView(TokenObtainPairView):
    pass


@extend_schema_view(
    post=extend_schema(operation_id="refreshToken", summary="Renew a token", tags=["accounts"])
)
class RefreshView(TokenRefreshView):
    serializer_class = RefreshSerializer
