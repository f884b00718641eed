"""Django: an order and its message in one transaction.atomic(). django_orm.py PAYLOAD commit|rollback"""
import os
import sys

import django
from django.conf import settings
from django.db import models, transaction

settings.configure(
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
        "USER": os.environ["PGUSER"], "PASSWORD": os.environ["PGPASSWORD"], "NAME": os.environ["PGDATABASE"],
    }},
    USE_TZ=True,
)
django.setup()


class Order(models.Model):
    id = models.BigAutoField(primary_key=True)
    item = models.TextField()
    note = models.TextField()

    class Meta:
        app_label, db_table, managed = "shop", "orders", False


class Outbox(models.Model):
    id = models.BigAutoField(primary_key=True)
    routing_key = models.TextField()
    key = models.TextField(null=True)
    content_type = models.TextField(null=True)
    payload_text = models.TextField(null=True)

    class Meta:
        app_label, db_table, managed = "shop", "outbox_new", False  # the view that takes INSERT … RETURNING


payload, outcome = sys.argv[1:]
with transaction.atomic():
    order = Order.objects.create(item="chair", note=outcome)
    Outbox.objects.create(
        routing_key="order.placed", key=f"order-{order.id}", content_type="application/json", payload_text=payload)
    transaction.set_rollback(outcome != "commit")
