"""What is done with rows that a job has written: some are chosen by their scores, and their files put into a folder."""
