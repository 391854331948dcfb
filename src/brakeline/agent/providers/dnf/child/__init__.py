"""Runs under the endpoint's own Python, which has dnf's library; asks it, and carries out exactly one transaction.

Stands alone (Python 3.6 on: `python3 -I -c SOURCE REQUEST`). REQUEST is JSON, or `@` and a file of it; the answer is
one line after MARK. `apply` holds rpm's own lock from before the packages are read until rpm has ended, and compares
the very list that rpm was given with the order, inside dnf's lock, right before rpm starts: anything else changes
nothing. No key is ever imported, nothing is asked, nothing is removed that was not ordered.
"""
