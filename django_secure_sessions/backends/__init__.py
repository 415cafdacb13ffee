"""Session engines: ``SESSION_ENGINE`` names one of the modules here."""
