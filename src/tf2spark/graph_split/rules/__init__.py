"""One rule per op: the form of its result, given the forms of its inputs."""
