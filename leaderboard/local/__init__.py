"""Everything on one machine: the processes of a small deployment, and the demo that shows them at work."""
