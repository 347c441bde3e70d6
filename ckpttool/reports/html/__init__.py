"""Reports that one looks at in a browser: a page in one file, which works offline.

The pages need Jinja2; nothing else of ckpttool does.
"""
