"""Seals, and one for each reply that is there already."""

from django.db import migrations, models

import chat.models.conversation
from chat.record import seals


def seal_what_is_there(apps, schema_editor):
    seals.begin(apps)


class Migration(migrations.Migration):

    dependencies = [
        ('chat', '0003_search'),
    ]

    operations = [
        migrations.AddField(
            model_name='conversation',
            name='seal_salt',
            field=models.CharField(db_default='', default=chat.models.conversation.new_salt, editable=False, max_length=32),
        ),
        migrations.CreateModel(
            name='Seal',
            fields=[
                ('number', models.PositiveBigIntegerField(primary_key=True, serialize=False, verbose_name='number')),
                ('at', models.DateTimeField(verbose_name='when')),
                ('previous', models.CharField(max_length=64)),
                ('hash', models.CharField(max_length=64)),
                ('generation_id', models.BigIntegerField(db_index=True)),
                ('conversation_id', models.UUIDField(db_index=True)),
                ('reason', models.CharField(choices=[('ended', 'The reply ended'), ('redaction', 'A reviewer redacted a passage'), ('upgrade', 'It was there when sealing began')], max_length=9)),
                ('contents', models.JSONField()),
            ],
            options={
                'verbose_name': 'seal',
                'verbose_name_plural': 'seals',
            },
        ),
        migrations.RunPython(seal_what_is_there, migrations.RunPython.noop),
    ]
