"""How the site is served: slow clients wait in separate pools and do not block others.

``worker`` is gunicorn's worker class, ``doors`` assigns requests to pools, ``pace`` is the minimum speed at
which a request has to arrive.
"""
