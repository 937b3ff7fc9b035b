"""What a job does around its work: log, device, locks, scheduler."""
