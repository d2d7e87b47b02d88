"""The last step of the retinal pipeline: splice, label, repair, measure, draw, publish.

Enters: a finished picture's layers. Leaves: pictures, tables and the published store. Next rooms: people,
`wsipipe.query`.
"""
