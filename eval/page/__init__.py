"""The HTML page and the plots of an evaluation."""
