"""Dashboard and alerts query metrics that the site has, with labels that these have."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from leaderboard.operations import metrics
from tests import factories
from tests.docker.reading import DOCKER, compose
from tests.leaderboard.workers.test_aa import put_through
from tests.leaderboard.workers.test_registry import enlist

FOLDER = DOCKER / "monitoring"
DASHBOARD = json.loads((FOLDER / "paretoboard.json").read_text("utf-8"))
RULES = yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))["groups"][0]["rules"]
PANELS = [(t["expr"], t["legendFormat"]) for p in DASHBOARD["panels"] for t in p["targets"]]
SERVICES = compose(DOCKER / "compose.monitoring.yaml")["services"]


@pytest.fixture
def known(db):
    """sample name → its labels → their values, from a site where every kind of event has happened."""
    contest = factories.contest()
    factories.scored(contest=contest)
    from grader.problems.catalogue import Problem
    from leaderboard import lifecycle

    evaluation = factories.running(evaluation=factories.submission(contest=contest))
    lifecycle.fail(evaluation.pk, 1, [Problem("SYS_NOISY")])
    put_through(enlist(contest), contest)
    found = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def used(expression):
    """Return (metric, {label: (operator, value)}) for each of our metrics in a query."""
    for name, braces in re.findall(r"(paretoboard_\w+)(\{[^}]*\})?", expression):
        yield name, {k: (op, v) for k, op, v in re.findall(r'(\w+)(=~|=)"([^"]*)"', braces)}


def test_every_query_names_existing_metrics_labels_and_values(known):
    queries = [expr for expr, _ in PANELS] + [rule["expr"] for rule in RULES]
    assert len(queries) > 20
    for query in queries:
        for name, labels in used(query):
            assert name in known, query
            for label, (operator, wanted) in labels.items():
                values = wanted.split("|") if operator == "=~" else [wanted]
                assert set(values) <= known[name].get(label, set()), query


def test_legends_and_summaries_use_labels_that_the_query_keeps(known):
    for query, legend in PANELS:
        names = [name for name, _ in used(query)]
        available = set().union(*(known[name] for name in names))
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= available, query
    for rule in RULES:
        available = set().union(*(known.get(name, {}) for name, _ in used(rule["expr"])))
        text = " ".join(rule["annotations"].values())
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= available, rule["alert"]


def test_every_metric_of_the_site_is_drawn_or_watched(known):
    seen = {
        name for q in [*(e for e, _ in PANELS), *(r["expr"] for r in RULES)] for name, _ in used(q)
    }
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known}
    unseen = families - {re.sub(r"_(bucket|sum|count)$", "", name) for name in seen}
    assert unseen == {"paretoboard_evaluations"}  # for people who build their own panels


def test_every_metric_is_documented(known):
    text = (DOCKER.parent / "docs" / "operate.md").read_text("utf-8")
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known}
    assert [name for name in sorted(families) if f"`{name}`" not in text] == []


def test_every_alert_says_what_to_do():
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert set(rule["annotations"]) == {"summary", "action"}
        assert rule["labels"]["severity"] in ("warning", "critical")


def test_prometheus_asks_the_site_with_the_sites_token():
    (job,) = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["site:8000"]}]
    secret = job["authorization"]["credentials_file"]
    site = compose()["services"]["site"]
    assert secret == site["environment"]["METRICS_TOKEN_FILE"] == "/run/secrets/metrics_token"
    assert SERVICES["prometheus"]["secrets"] == ["metrics_token"]
    assert set(SERVICES["prometheus"]["networks"]) & set(site["networks"])


def test_panels_use_the_provisioned_source_and_every_mounted_file_exists():
    (source,) = yaml.safe_load((FOLDER / "datasources.yaml").read_text())["datasources"]
    assert {p["datasource"]["uid"] for p in DASHBOARD["panels"]} == {source["uid"]}
    mounted = [v.split(":")[0] for s in SERVICES.values() for v in s["volumes"]]
    files = [DOCKER / name for name in mounted if name.startswith("./")]
    assert files
    assert all(file.is_file() for file in files)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_service_is_locked_down_like_the_others(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "healthcheck" in service
