"""What a request to the provider may be told beside its messages."""

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

NAMES = ("temperature", "top_p", "max_tokens")


class Parameters(models.Model):
    """Model and parameters; empty or None leaves it to the next in line, at last the endpoint."""

    model = models.CharField(_("model"), max_length=200, blank=True)
    temperature = models.FloatField(
        _("temperature"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(2)],
    )
    top_p = models.FloatField(
        _("top p"), null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(1)]
    )
    max_tokens = models.PositiveIntegerField(
        _("max tokens"), null=True, blank=True, validators=[MinValueValidator(1)]
    )

    class Meta:
        abstract = True

    def given(self) -> dict[str, Any]:
        """Those parameters that are set."""
        return {name: value for name in NAMES if (value := getattr(self, name)) is not None}
