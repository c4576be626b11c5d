"""What Azure answers about a policy: effective security rules, IP flow verify, diagnostics."""
