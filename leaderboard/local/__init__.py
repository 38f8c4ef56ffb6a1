"""The whole site on one machine: the processes of a small deployment, and the demo."""
