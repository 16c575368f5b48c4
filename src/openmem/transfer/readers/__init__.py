"""The readers of formats that other systems write, one module each."""
