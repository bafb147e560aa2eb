"""Our models as mteb evaluates them, and mteb's tasks run on them; mteb itself is imported when it is used."""
