"""How likely both models find the right answers: for telling a model that learned the questions.

Right answers must not reach a candidate that still has to answer questions, so this comes last in a grade: its
engine serves nothing after it, and every grade starts one of its own.
"""

from __future__ import annotations

from grader.protocol.documents import Likelihood, LikelihoodResult
from grader.worker.engine.server import Engine
from grader.worker.measure import lm_eval_client
from grader.worker.measure.recorder import Recorder


def measure(base: Engine, candidate: Engine, recorder: Recorder) -> tuple[LikelihoodResult, ...]:
    """Return the likelihoods of the right answers that ``recorder`` drew; none if the contest has no twins.

    Raises:
        Rejected, Failed: an engine crashed, hangs or computes NaN.
    """
    if not any(recorder.right.values()):
        return ()
    base_nll = _per_token(
        base, recorder
    )  # first: where engines take turns, the base model still serves
    nll = _per_token(candidate, recorder)
    return tuple(
        LikelihoodResult(
            benchmark,
            tuple(
                Likelihood(one.doc_id, len(one.answer), own, known)
                for one, own, known in zip(
                    answers, nll[benchmark], base_nll[benchmark], strict=True
                )
            ),
        )
        for benchmark, answers in recorder.right.items()
    )


def _per_token(engine: Engine, recorder: Recorder) -> dict[str, list[float]]:
    engine.take_turn()
    found = {}
    for benchmark, answers in recorder.right.items():
        pairs = [(one.context, one.answer) for one in answers]
        totals = lm_eval_client.log_probabilities(engine, pairs)
        # rounding can lift the log-probability of a certain token above 0
        found[benchmark] = [
            max(0.0, -total / len(one.answer)) for total, one in zip(totals, answers, strict=True)
        ]
    return found
