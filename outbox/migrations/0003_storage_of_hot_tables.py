from django.db import migrations

# A row of the outbox is updated three times in its short life, and each time leaves a dead entry
# in the partial indexes that the relay reads: they are swept by a fixed number of dead rows, so
# that a table that has grown large is not swept more rarely.
SET = """
ALTER TABLE {table} SET (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 5000
)
"""
RESET = """
ALTER TABLE {table} RESET (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
    autovacuum_analyze_scale_factor, autovacuum_analyze_threshold
)
"""


class Migration(migrations.Migration):

    dependencies = [("outbox", "0002_queue_control_workers_gauges")]

    operations = [
        migrations.RunSQL(SET.format(table=table), RESET.format(table=table))
        for table in ("outbox", "outbox_attempt")
    ]
