from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("payments", "0003_charges_of_paid_payments")]

    operations = [migrations.RemoveField(model_name="payment", name="provider_reference")]
