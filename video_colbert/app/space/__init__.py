"""The page as a Space of the Hugging Face Hub."""
