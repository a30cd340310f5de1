"""Which checkpoint to take: strategies that read validation scores, and what each of them costs on the test set."""
