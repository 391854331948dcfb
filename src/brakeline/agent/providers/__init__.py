"""Adapters for package managers behind one contract, `model.Provider`: `apt`, `pacman`; `fake` is the twin of apt."""
