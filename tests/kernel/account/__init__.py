"""A lab whose traffic is known, and what each place where nsgd tells of it says."""
