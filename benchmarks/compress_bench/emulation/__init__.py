"""What it takes to play another processor here; `targets/emulate.py` puts it together."""
