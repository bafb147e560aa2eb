"""What is to be read of files, and the processes that read it, on this machine or on a cluster."""
