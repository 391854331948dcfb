"""Adapters for package managers behind one contract, `model.Provider`: `apt` is the real one, `fake` its twin."""
