"""Each user's best k items, from the scores that pass by."""
