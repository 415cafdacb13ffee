"""The second factor: proofs, budgets and half-done logins, below any request."""
