from __future__ import annotations

from django.core.management.base import BaseCommand

from accounts.models import User

PASSWORD = "sluice-demo"  # noqa: S105 - meant to be known: development only


class Command(BaseCommand):
    help = "Creates a demo student and a demo member of staff, for development only."

    def handle(self, *args: object, **options: object) -> None:
        if not User.objects.filter(email="student@example.com").exists():
            User.objects.create_user(
                email="student@example.com", name="Demo Student", password=PASSWORD
            )
        if not User.objects.filter(email="staff@example.com").exists():
            User.objects.create_superuser("staff@example.com", "Demo Staff", PASSWORD)
