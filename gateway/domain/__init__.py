"""
Everything that decides: identifiers, days, covers, the answer, the purpose of a look.

Pure. It knows no clock, no file and no socket; what changes with the day is handed in.
"""
