"""The referee: sets of images, judged by what fresh networks learn from them.

`compare.compare` trains networks on each set and on as many real images
(`competitors`), one cell of the table at a time (`cells`), and `result.Comparison` says
what came out; `page` shows it.
"""
