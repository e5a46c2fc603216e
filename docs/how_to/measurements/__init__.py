"""What the how-to pages quote: a module for each page, which `measure.py` runs."""
