from django.db import migrations

# A payment used to name its one charge itself.
FORWARDS = """
    INSERT INTO payments_charge (payment_id, provider, provider_reference, amount, refunded_amount,
                                 is_surplus, captured_at)
    SELECT id, provider, coalesce(nullif(provider_reference, ''), id::text), amount, 0, false, paid_at
    FROM payments_payment
    WHERE state = 'paid'
    ON CONFLICT DO NOTHING
"""
BACKWARDS = """
    UPDATE payments_payment SET provider_reference = charge.provider_reference
    FROM payments_charge charge
    WHERE charge.payment_id = payments_payment.id AND NOT charge.is_surplus
"""
# What is open now is asked about like what will be opened.
CHECKS = """
    UPDATE payments_payment SET check_at = now()
    WHERE state IN ('awaiting', 'failed') AND session_id <> ''
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0002_charges_and_refunds")]

    operations = [
        migrations.RunSQL(FORWARDS, BACKWARDS),
        migrations.RunSQL(CHECKS, migrations.RunSQL.noop),
    ]
