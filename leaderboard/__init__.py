"""The site: teams, submissions, the lifecycle of evaluations, the board. Never imports ``grader.worker``."""
