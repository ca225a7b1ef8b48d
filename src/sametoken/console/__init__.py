"""The console: pages of a node, for a person with a browser, at /console.

A screen asks `operate` and `control` as a command does, and reaches rows through them alone. Its
templates are in `pages/`, its script and style in `static/`, all of them its own.
"""
