"""What `make release-check` checks before a release; see CONTRIBUTING.md."""
