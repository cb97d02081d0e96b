"""End to end: stock clients, a real gateway, a real worker, a real Redis."""
