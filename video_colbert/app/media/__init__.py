"""Files of videos as a server gives them out: those that an index holds, and what is made of them."""
