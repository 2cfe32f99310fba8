"""Files and folders that fill up, go away, are shared, and must survive the machine."""
