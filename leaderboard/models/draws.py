"""What a changed weight needs of a report, so that it need not be read again."""

from __future__ import annotations

from django.db import models

from leaderboard.models.evaluation import Evaluation


class Draws(models.Model):
    """Bootstrap replicates of the terms of one report, float32; from the report, and again if they are gone.

    Attributes:
        terms_sha256: of the rules that they were drawn under (``Contest.terms_sha256``).
        accuracy, private_accuracy: over the public and the private questions; empty where there are none.
    """

    evaluation = models.OneToOneField(Evaluation, models.CASCADE, primary_key=True)
    terms_sha256 = models.CharField(max_length=64)
    accuracy = models.BinaryField()
    private_accuracy = models.BinaryField(default=bytes)
    speed = models.BinaryField()

    def __str__(self) -> str:
        return str(self.evaluation_id)
