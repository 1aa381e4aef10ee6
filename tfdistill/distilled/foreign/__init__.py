"""Distilled data that other programs made: found, recognised, checked.

`reading.read` takes whatever there is: a file or a folder becomes named arrays
(`stored`, `archives`, `torch_files`, `folders`), these become images and labels
(`arrays`), labels get a meaning (`labels`), and pixels become those of the real data
(`pixels`). Nothing here runs what a file holds.
"""
