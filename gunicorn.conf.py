"""Gunicorn's settings, the same wherever the site runs; gunicorn finds them in the working directory."""

worker_class = "leaderboard.server.worker.Worker"
threads = 8  # says only that requests are answered by threads: how many is the worker class's
control_socket_disable = True
# Longer than any client keeps an idle connection (httpx 5 s, proxies about 60 s). A server that closes
# first, as the default of 2 s does, can close just as the next request arrives, and the client gets no answer.
keepalive = 75
