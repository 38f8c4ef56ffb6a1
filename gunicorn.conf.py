"""Gunicorn's settings, the same wherever the site runs; found by itself in the working directory."""

threads = 8
control_socket_disable = True
# Longer than any client keeps an idle connection (httpx 5 s, proxies about 60 s). A server that hangs up
# first, as the default of 2 s does, meets the next request half-way: the client gets no answer.
keepalive = 75
