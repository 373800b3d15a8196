"""The regression gate: a new report held against an old one."""
