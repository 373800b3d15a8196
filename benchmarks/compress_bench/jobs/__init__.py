"""How a job gets to the runner, and its events back, wherever the runner runs."""
