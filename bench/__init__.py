"""What a message and a call cost the server, measured beside what others would do.

`python -m bench` starts real processes on this machine, loads them over loopback, and reads
what their processor time was. Absolute numbers do not travel between machines; ratios of
what ran in turns in one run do.
"""
