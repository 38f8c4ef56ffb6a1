"""How the site is served: slow clients wait at doors of their own and starve nobody.

``worker`` is gunicorn's worker class, ``doors`` says which requests wait where, ``pace`` is the least speed at
which a request has to arrive.
"""
