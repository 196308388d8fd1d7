"""What users pick today, beside lash: the same work, on the same machine, in the same run. See `__main__`."""
