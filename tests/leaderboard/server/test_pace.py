"""Requests that arrive too slowly are cut off."""

from __future__ import annotations

import socket

import pytest

from leaderboard.server import pace


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(pace.time, "monotonic", lambda: Clock.now)
    return Clock


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield pace.PacedSocket(ours), theirs
    ours.close()
    theirs.close()


def test_a_byte_a_second_is_cut_off_after_the_grace(clock, monkeypatch, pair):
    ours, theirs = pair
    ours.begin()
    for _ in range(int(pace.GRACE_S)):
        theirs.sendall(b"x")
        assert ours.recv(10) == b"x"
        clock.now += 1
    clock.now += 1
    theirs.sendall(b"x")
    with pytest.raises(ConnectionResetError):
        ours.recv(10)


def test_a_slow_upload_goes_on_for_hours(clock, pair):
    ours, theirs = pair
    ours.begin()
    for _ in range(1000):  # 3 kB/s
        theirs.sendall(b"x" * 30_000)
        got = 0
        while got < 30_000:
            got += len(ours.recv(30_000))
        clock.now += 10
    assert clock.now == 10_100


def test_silence_ends_even_a_fast_upload(monkeypatch, pair):
    ours, theirs = pair
    monkeypatch.setattr(pace, "SILENCE_S", 0.05)
    theirs.sendall(b"x" * 100_000)
    ours.begin()
    while ours._received_bytes < 100_000:
        ours.recv(100_000)
    with pytest.raises(ConnectionResetError):
        ours.recv(10)


def test_each_request_of_a_connection_counts_anew_and_the_sockets_own_timeout_stays(clock, pair):
    ours, theirs = pair
    ours.settimeout(7)
    clock.now += 3600
    ours.begin()
    theirs.sendall(b"x")
    assert (ours.recv(10), ours.gettimeout()) == (b"x", 7)
