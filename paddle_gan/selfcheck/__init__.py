"""What works on this machine, in about a minute: computed values, a resume, files, speed; one page of text.

Not about how fast training can be: see `bench`.
"""
