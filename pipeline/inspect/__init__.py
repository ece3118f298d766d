"""The page for looking into a run: why a frame was missed, what stage 1 saw, what to label next.

A run of any command becomes a :class:`~pipeline.inspect.record.Record`; the server and the
exported page know nothing but that. ``page/`` is what the browser runs, plain modules.
"""
