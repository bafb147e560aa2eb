"""The subcommands about what an index holds."""
