"""The tables of verbs, one a group; backend.cli.verbs joins them."""
