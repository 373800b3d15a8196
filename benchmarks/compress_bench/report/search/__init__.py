"""A search for a student, as the views show it: read from its JSON, and from nothing else.

`reading` reads the JSON of `search.json`, which is also `report["search"]`; `words` and `rows` say
it, `figures` draws it, and `section` puts all of it together for the page.
"""
