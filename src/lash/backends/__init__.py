"""Where lash keeps what it promises to keep: one package for each kind of store.

The packages are siblings that do not know each other.
"""
