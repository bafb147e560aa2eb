"""The subcommands that put something on the Hugging Face Hub, or check what is there."""
