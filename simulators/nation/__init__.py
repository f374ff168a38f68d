"""
A made-up nation: people by the million, household by household, in memory that does not grow.

Everything follows from a seed and a person's place: a block of people is made without the blocks
before it. It has no clock, and nobody in it is real.
"""
