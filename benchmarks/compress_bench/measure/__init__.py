"""Jobs for the runner, and its events turned into evidence: one file a kind of job."""
