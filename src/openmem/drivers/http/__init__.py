"""HTTP in both modes."""
