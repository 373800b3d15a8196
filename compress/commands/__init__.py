"""The commands, by stage: flags into settings, one stage run, its result shown."""
