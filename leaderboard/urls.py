"""Addresses of the site."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from leaderboard.api import api
from leaderboard.views import account, board, contest, health, submission

urlpatterns = [
    path("", contest.home, name="home"),
    path("contests/<slug:slug>/", board.board, name="board"),
    path("contests/<slug:slug>/queue/", board.queue, name="queue"),
    path("contests/<slug:slug>/points.json", board.points, name="points"),
    path("contests/<slug:slug>/board.json", board.export_json, name="board_json"),
    path("contests/<slug:slug>/board.csv", board.export_csv, name="board_csv"),
    path("contests/<slug:slug>/rules/", contest.contest_rules, name="rules"),
    path("contests/<slug:slug>/submit/", submission.submit, name="submit"),
    path("contests/<slug:slug>/team/", account.team_create, name="team_create"),
    path("problems/", contest.problem_list, name="problems"),
    path("submissions/<int:pk>/", submission.submission, name="submission"),
    path("submissions/<int:pk>/cancel/", submission.cancel, name="cancel"),
    path("teams/<int:pk>/", account.team, name="team"),
    path("account/", account.account, name="account"),
    path("account/tokens/<int:pk>/revoke/", account.revoke_token, name="revoke_token"),
    path("signup/", account.sign_up, name="sign_up"),
    path("login/", auth.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/", api.urls),
    path("healthz", health.live, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    path("admin/", admin.site.urls),
]
