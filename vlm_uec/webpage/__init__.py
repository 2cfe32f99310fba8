"""HTML and SVG building blocks shared by the report, the evaluation page and the data set page."""
