"""Sessions that are visible, limited, time-boxed, MFA-checked and revocable."""
