"""What is measured. A case is a function that is given a `benchmarks.plan.Plan` and returns what it found."""
