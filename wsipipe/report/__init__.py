"""What people look at: the verdict, pictures, and the step that publishes a slide for other tools.

Enters: a finished slide's layers. Leaves: PNG files, published elements, records.
Next room: `wsipipe.query`, and people.
"""
