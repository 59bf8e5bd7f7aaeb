"""What others do with the same job: each program runs in an environment of its own, with what its .txt file pins."""
