"""The API against its own specification: schemathesis makes requests from it, and every answer has to fit it.

``make api-fuzz`` runs it for ten minutes, ``test_specification.py`` for less than one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.core.handlers.wsgi import WSGIHandler

SHAPE = {"code", "message", "hint"}


@dataclass
class Summary:
    """Requests per status, and what was found: one line each."""

    operations: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = ", ".join(f"{n} × {status}" for status, n in sorted(self.statuses.items()))
        words = f"{self.operations} operations, {self.statuses.total()} requests ({counts})"
        return f"{words}: {len(self.findings)} findings"


def one_shape(ctx: Any, response: Any, case: Any) -> None:
    """Every error is ``{code, message, hint}``, whatever else it has."""
    if response.status_code < 400:
        return
    try:
        document = response.json()
    except ValueError:
        raise AssertionError(f"error {response.status_code} is no JSON") from None
    words = {name: document.get(name) for name in SHAPE}
    assert all(isinstance(word, str) and word for word in words.values()), f"error is {document}"


def fuzz(
    headers: dict[str, str], known: dict[str, list[Any]], *, examples: int, seed: int
) -> Summary:
    """Send ``examples`` requests to every operation, reproducibly.

    ``known``: ids of what exists, by the name of the parameter; two of three requests use them.
    """
    import hypothesis
    import schemathesis
    from schemathesis import checks
    from schemathesis.core.failures import Failure, FailureGroup
    from schemathesis.specs.openapi import checks as openapi

    which = [
        checks.not_a_server_error,
        openapi.status_code_conformance,
        openapi.content_type_conformance,
        openapi.response_schema_conformance,
        one_shape,
    ]
    summary = Summary()
    site = WSGIHandler()

    def app(environ: dict[str, Any], start: Any) -> Any:
        plain = {"REMOTE_ADDR": "127.0.0.1", "HTTP_ACCEPT_ENCODING": "identity"}
        return site({**environ, **plain}, start)

    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", app)
    for result in schema.get_all_operations():
        operation = result.ok()
        summary.operations += 1

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            turn = summary.statuses.total()
            for name in (case.path_parameters or {}) if turn % 3 else ():
                case.path_parameters[name] = known[name][turn % len(known[name])]
            response = case.call(headers=headers)
            summary.statuses[response.status_code] += 1
            try:
                case.validate_response(response, checks=which)
            except (Failure, FailureGroup, AssertionError) as error:
                text = "; ".join(str(e) for e in getattr(error, "exceptions", [error]))
                line = f"{case.operation.label}: {text}"
                if not any(known.startswith(line[:120]) for known in summary.findings):
                    summary.findings.append(f"{line}\n{case.as_curl_command(headers)}")

        ask()
    return summary
