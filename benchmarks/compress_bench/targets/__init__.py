"""Where the runner runs: one file a kind of device, each with `stream(job)`."""
