"""One module for each eval of the suite; each has a table FUNCTIONS of its functions."""
