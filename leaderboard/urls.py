"""The site's URLs."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from allauth.urls import build_provider_urlpatterns
from django.conf import settings
from django.contrib import admin
from django.urls import include, path, register_converter
from django.urls.converters import StringConverter

from grader.contest.rules import CONTEST_ID
from leaderboard.api import api, tus
from leaderboard.views import (
    account,
    board,
    board_files,
    board_history,
    contest,
    health,
    submission,
    submit,
    team,
)
from leaderboard.views.staff import batches, copies, dashboard, team_and_submission
from leaderboard.views.staff import contest as staff_contest

# One login page for everybody: the admin's own has neither rate limits nor email confirmation.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


class ContestId(StringConverter):
    """What a contest's file may give as its id; a slug has no dots."""

    regex = CONTEST_ID


register_converter(ContestId, "contest")

urlpatterns = [
    path("", contest.home, name="home"),
    path("contests/<contest:slug>/", board.board, name="board"),
    path("contests/<contest:slug>/public/", board.public, name="public_board"),
    path("contests/<contest:slug>/private/", board.private, name="private_board"),
    path("contests/<contest:slug>/history/", board_history.page, name="board_history"),
    path("contests/<contest:slug>/history.json", board_history.data, name="history_json"),
    path("contests/<contest:slug>/queue/", board.queue, name="queue"),
    path("contests/<contest:slug>/points.json", board_files.points, name="points"),
    path("contests/<contest:slug>/board.json", board_files.export_json, name="board_json"),
    path("contests/<contest:slug>/board.csv", board_files.export_csv, name="board_csv"),
    path("contests/<contest:slug>/rules/", contest.contest_rules, name="rules"),
    path("contests/<contest:slug>/submit/", submit.submit, name="submit"),
    path("contests/<contest:slug>/submit/hub/", submit.from_hub, name="submit_hub"),
    path("contests/<contest:slug>/checks/<str:key>/", submit.check, name="check"),
    path("contests/<contest:slug>/submit/<str:key>/enter/", submit.enter, name="upload_enter"),
    path(
        "contests/<contest:slug>/submit/<str:key>/discard/", submit.discard, name="upload_discard"
    ),
    path("contests/<contest:slug>/team/", team.create, name="team_create"),
    path("contests/<contest:slug>/batches/", batches.index, name="batches"),
    path("contests/<contest:slug>/batches/new/", batches.new, name="batch_new"),
    path("batches/<int:pk>/", batches.show, name="batch"),
    path("batches/<int:pk>/<slug:verb>/", batches.act, name="batch_act"),
    path("problems/", contest.problem_list, name="problems"),
    path("submissions/<int:pk>/", submission.submission, name="submission"),
    path("submissions/<int:pk>/again/", submission.again, name="measure_again"),
    path("submissions/<int:pk>/cancel/", submission.cancel, name="cancel"),
    path("teams/<int:pk>/", team.team, name="team"),
    path("teams/<int:pk>/<slug:verb>/", team.act, name="team_act"),
    path("join/<str:token>/", team.join, name="join"),
    path("account/", account.account, name="account"),
    path("account/tokens/<int:pk>/revoke/", account.revoke_token, name="revoke_token"),
    path("login/", account.LogIn.as_view(), name="account_login"),
    path("", include("allauth.account.urls")),
    path("i18n/setlang/", account.set_language, name="set_language"),
    path("api/uploads/", tus.collection, name="uploads"),
    path("api/uploads/<str:key>", tus.upload, name="upload"),
    path("api/uploads/<str:key>/submission", tus.submission, name="upload_submission"),
    path("api/", api.urls),
    path("desk/", dashboard.desk, name="desk"),
    path("desk/put-back/", dashboard.put_back, name="desk_put_back"),
    path("desk/doctor/", dashboard.examination, name="desk_doctor"),
    path("desk/workers/<int:pk>/", dashboard.worker, name="desk_worker"),
    path("desk/workers/<int:pk>/<slug:verb>/", dashboard.act, name="desk_worker_act"),
    path("desk/contests/<contest:slug>/", staff_contest.contest, name="desk_contest"),
    path("desk/contests/<contest:slug>/evidence.zip", staff_contest.evidence, name="desk_evidence"),
    path("desk/contests/<contest:slug>/copies/", copies.page, name="desk_copies"),
    path("desk/contests/<contest:slug>/<slug:verb>/", staff_contest.act, name="desk_contest_act"),
    path("desk/teams/<int:pk>/", team_and_submission.team, name="desk_team"),
    path("desk/teams/<int:pk>/<slug:verb>/", team_and_submission.team_act, name="desk_team_act"),
    path("desk/submissions/<int:pk>/", team_and_submission.submission, name="desk_submission"),
    path(
        "desk/submissions/<int:pk>/<slug:verb>/",
        team_and_submission.submission_act,
        name="desk_submission_act",
    ),
    path("desk/rulings/<int:pk>/lift/", team_and_submission.lift, name="desk_ruling_lift"),
    path("healthz", health.live, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("admin/", admin.site.urls),
]
if settings.SOCIAL_LOGIN:
    urlpatterns += [
        path("account/connections/", include("allauth.socialaccount.urls")),
        path("social/", include(build_provider_urlpatterns())),
    ]
