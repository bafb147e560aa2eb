"""The page that people search on: files of ours, which ask the server's API as any program does."""
