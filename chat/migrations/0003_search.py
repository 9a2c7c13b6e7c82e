"""The search index. The triggers that keep it come after each run of migrations: chat.signals."""

from django.db import migrations

from chat.search import index


def make(apps, schema_editor):
    index.make(schema_editor.connection)


def remove(apps, schema_editor):
    index.remove(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("chat", "0002_moderation_review_and_record")]
    operations = [migrations.RunPython(make, remove)]
