"""What a server over indexes answers: to a query, and where nothing is asked."""
