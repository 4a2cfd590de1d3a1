"""The other engines, each set up as its documentation recommends for work that must not be lost."""
