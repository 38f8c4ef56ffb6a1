"""What scores are computed from: the few numbers in each report that the formula reads."""

from __future__ import annotations

from django.db import models

from leaderboard.models.evaluation import Evaluation


class SharedInput(models.Model):
    """What many reports have in common, keyed by the digest of its content. Never changed.

    A list of questions or of their prompts, a base model's answers, or a list of tensors.
    """

    sha256 = models.CharField(max_length=64, primary_key=True)
    content = models.BinaryField()

    def __str__(self) -> str:
        return self.sha256


class ScoreInputs(models.Model):
    """The answers and times of one report (``grader.scoring.packing.Packed``)."""

    evaluation = models.OneToOneField(Evaluation, models.CASCADE, primary_key=True)
    benchmarks = models.JSONField()
    values = models.BinaryField()
    checkpoint_bytes = models.BigIntegerField()
    base_bytes = models.BigIntegerField()
    log_ratios = models.JSONField()

    def __str__(self) -> str:
        return str(self.evaluation_id)
