"""A real browser on a live server: the system's Chromium if installed, otherwise Playwright's own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.live_requests import all_answered

expect.set_options(timeout=20_000)  # pages poll every few seconds, and the machine may be busy

SCREENSHOTS = Path(__file__).resolve().parents[2] / "artifacts" / "screenshots"
AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    found = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    arguments = ["--disable-background-networking", "--disable-component-update"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    extra: dict[str, Any] = {"args": arguments}
    if found:
        extra["executable_path"] = found
    return browser_type_launch_args | extra


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return browser_context_args | {
        "locale": "en-US",
        "timezone_id": "Asia/Seoul",
        "viewport": {"width": 1280, "height": 900},
        "reduced_motion": "reduce",
    }


@pytest.fixture(autouse=True)
def _no_violations(request: pytest.FixtureRequest) -> Any:
    """In every test, fails if a page violates its content security policy or has a script error."""
    yield
    assert getattr(request.node, "complaints", []) == []


@pytest.fixture
def visit(
    browser: Any,
    browser_context_args: dict[str, Any],
    live_server: Any,
    request: pytest.FixtureRequest,
) -> Any:
    """``visit(path, **context)``: a page in a fresh browser context, logged in with ``as_user``."""
    complaints: list[str] = []
    contexts: list[Any] = []
    request.node.complaints = complaints

    def open_page(path: str, *, as_user: Any = None, **context: Any) -> Any:
        browsing = browser.new_context(
            **browser_context_args | {"base_url": live_server.url} | context
        )
        contexts.append(browsing)
        if as_user is not None:
            browsing.add_cookies([session_cookie(as_user, live_server.url)])
        page = browsing.new_page()
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.on("console", lambda message: complaints.append(f"{page.url}: {message.text}")
                if message.type == "error" and "status of 4" not in message.text else None)  # fmt: skip
        page.goto(path)
        return page

    with all_answered():
        yield open_page
        for browsing in contexts:
            browsing.close()


def session_cookie(user: Any, url: str) -> dict[str, str]:
    """A session like one created by logging in."""
    from django.conf import settings
    from django.test import Client

    client = Client()
    client.force_login(user)
    return {
        "name": settings.SESSION_COOKIE_NAME,
        "value": client.cookies[settings.SESSION_COOKIE_NAME].value,
        "url": url,
    }


def shoot(page: Any, name: str) -> None:
    """A screenshot of the whole page, in a window of its full height so that sticky rows are in place."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    size = page.viewport_size
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": max(height, size["height"])})
    page.wait_for_timeout(150)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    page.set_viewport_size(size)


def overflow(page: Any) -> int:
    """By how many pixels the page is wider than its window."""
    width: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return max(0, width)


def grave_findings(page: Any) -> list[str]:
    """Serious and critical axe-core violations on the current page."""
    page.evaluate(AXE.read_text("utf-8"))
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{v['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for v in result["violations"]
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"]
    ]
