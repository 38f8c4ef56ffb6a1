"""People: tokens, sign-up and log-in by allauth, providers."""
