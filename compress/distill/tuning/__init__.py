"""The search for settings on validation: `compress distill --tune temperature,kd_weight`.

`recipe` is read top to bottom: `candidates` holds what is compared, `space` says what may be asked
for, `study` asks (optuna), `search` has the trials trained one after the other, `record` keeps them
on disk, `verdict` draws the conclusions, `files` writes them, and `table`, `terminal`, `figures`
and `page` show them.
"""
