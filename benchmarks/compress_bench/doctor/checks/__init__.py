"""One file a check, its name the check's; what each offers is in the package above."""
