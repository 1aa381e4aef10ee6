"""How a run survives: backups, journals, whole files, strategies."""
