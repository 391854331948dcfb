"""Adapters for package managers behind one contract, `model.Provider`: `apt` and `pacman` are real, `fake` is the twin of apt."""
