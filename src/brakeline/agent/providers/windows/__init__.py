"""Windows' sources of updates, read: winget, installed programs, Windows Update, restarts that are due.

Readers and decisions only, tried on output that was built after published formats; no provider is made of them yet, and
nothing here was run on Windows (`docs/explanation/windows.md`). `registry` reads the machine's; MSI is tried in wine.
"""
