"""
An open, complete, running stand-in for Japan's online eligibility confirmation.

A simulator: it never contacts the live system, and no real person or My Number appears in it.
"""

__version__ = "0.1.0"
