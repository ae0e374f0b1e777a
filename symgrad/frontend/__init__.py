"""SymPy expressions to the intermediate representation, and back."""
