"""What made a file: digests of code and settings, records of jobs, their history."""
