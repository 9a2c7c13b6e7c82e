"""Reading pages for a model.

allowed.py   which hosts the operator allows, and which addresses nobody may name
fetching.py  one page, redirects followed by hand, from exactly the address that was checked
readable.py  what a reader sees of it, as text
"""
