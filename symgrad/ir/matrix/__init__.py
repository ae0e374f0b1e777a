"""Matrix functions: their table, values, derivatives and failures."""
