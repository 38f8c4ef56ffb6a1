"""People: their tokens, sign-up and login through django-allauth, and login providers."""
